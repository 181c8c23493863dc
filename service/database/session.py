"""The database's engine, and the two kinds of transaction on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

BUSY_TIMEOUT_MS: Final = 15_000
"""How long a SQLite writer waits for the one before it."""

_WRITES: Final = "paretune_writes"


def _dumps(value: object) -> str:
    return to_json(value).decode()


class Database:
    """A database that `service` keeps its tables in; a context manager that closes its connections."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            Path(str(url.database)).expanduser().parent.mkdir(parents=True, exist_ok=True)
        self.engine = create_engine(url, json_serializer=_dumps, json_deserializer=from_json, pool_pre_ping=True)
        if self.is_sqlite:
            _tune_sqlite(self.engine)
        self._writer = self.engine.execution_options(**{_WRITES: True})

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database and writes nothing."""
        with Session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in one transaction: committed at the end, rolled back on an error.

        On SQLite it takes the write lock at once, so that what it reads stays true until it commits.
        """
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def connect_for_writing(self) -> Iterator[Connection]:
        """A plain connection in one writing transaction, for migrations."""
        with self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun by _on_begin, not by the driver
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # a trial that ended outlives a power cut
            "foreign_keys = ON",
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
