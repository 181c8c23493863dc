"""The schema's migrations: apply them, and tell whether they are applied.

Alembic is imported as a migration is asked for, and configured here: there is no `alembic.ini`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from service.database.session import Database
from service.errors import Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK: Final = 0x70617265  # "pare": the advisory lock that keeps two migrations apart on PostgreSQL


def upgrade(database: Database, revision: str = "head") -> None:
    """Brings the schema up to `revision`; safe to call from several processes at once."""
    from alembic import command

    with database.connect_for_writing() as connection:
        _lock(connection)
        command.upgrade(_config(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Takes the schema back to `revision` (`base` removes everything)."""
    from alembic import command

    with database.connect_for_writing() as connection:
        _lock(connection)
        command.downgrade(_config(connection), revision)


def head_revision() -> str | None:
    """The newest revision that this version of paretune knows."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config(None)).get_current_head()


def current_revision(database: Database) -> str | None:
    """The revision the database stands at; `None` for an empty database.

    Raises `Unavailable` when the database does not answer.
    """
    from alembic.migration import MigrationContext

    try:
        with database.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        safe = database.url.render_as_string(hide_password=True)
        raise Unavailable(f"the database {safe} does not answer: {reason}; check PARETUNE_DATABASE_URL") from error


def is_current(database: Database) -> bool:
    """Whether the schema is the one this version of paretune works on; raises `Unavailable`."""
    return current_revision(database) == head_revision()


def scripts_folder() -> Path:
    """Where the migrations lie: in the wheel beside this module, in a checkout at the top."""
    here = Path(__file__).resolve().parent
    for folder in (here / "alembic", here.parents[1] / "alembic"):
        if (folder / "env.py").is_file():
            return folder
    raise Unavailable("the migrations are missing from this installation; reinstall paretune")


def _config(connection: Connection | None) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
