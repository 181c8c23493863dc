"""Runs migrations on the connection that `service.database.migrate` hands over."""

from alembic import context
from service.database.models import Base


def run() -> None:
    """Migrates within the caller's transaction; without a connection there is nothing to run on."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        raise RuntimeError("run migrations with `paretune db upgrade`; it brings the connection")
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    context.run_migrations()


run()
