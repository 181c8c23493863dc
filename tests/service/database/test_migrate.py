"""Migrations make the very tables of the models, on every database, up and down."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from sqlalchemy.engine import URL

from service.database import migrate
from service.database.models import Base
from service.database.session import Database
from service.errors import Unavailable
from service.settings import Settings

on_every_database = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)


@on_every_database
def test_migrations_make_the_tables_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


@on_every_database
def test_an_empty_database_is_not_current_and_a_migrated_one_is(empty_database: Database) -> None:
    assert not migrate.is_current(empty_database)

    migrate.upgrade(empty_database)

    assert migrate.is_current(empty_database)


@on_every_database
def test_downgrade_to_base_removes_every_table(database: Database) -> None:
    migrate.downgrade(database, "base")

    assert migrate.current_revision(database) is None
    assert set(inspect(database.engine).get_table_names()) == {"alembic_version"}


@on_every_database
def test_processes_that_migrate_at_once_do_not_disturb_each_other(settings: Settings) -> None:
    failures: list[BaseException] = []

    def upgrade() -> None:
        try:
            with Database(settings.url) as database:
                migrate.upgrade(database)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with Database(settings.url) as database:
        assert migrate.is_current(database)


def test_a_database_that_is_not_there_is_unavailable() -> None:
    absent = URL.create("postgresql+psycopg", host="127.0.0.1", port=1, database="absent")

    with pytest.raises(Unavailable, match="does not answer"):
        migrate.current_revision(Database(absent))
