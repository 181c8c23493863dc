"""Tables of the service."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar, Final

from pydantic import JsonValue
from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, Index, MetaData, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

JsonObject = dict[str, JsonValue]


class JobState(StrEnum):
    """`queued → running → succeeded / failed / cancelled`."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to the job."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; databases without time zones (SQLite) keep it as UTC without saying so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware moments become UTC; a naive one is a fault of our code."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; pass datetime.now(UTC)")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """What comes back says that it is UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Root of the tables; constraint names are fixed so that migrations can name them on every database."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[object, object]] = {datetime: UtcDateTime()}


ACTIVITY_LENGTH: Final = 200
"""Characters of what a job is at."""


class JobRow(Base):
    """One tuning request, where it stands, and who works on it.

    `lease_token` is the fencing token: it grows with each lease, and a worker writes only while it holds the
    newest one. `attempts` counts leases that did not end the job. `frontier` holds trial numbers. `parent_id` is the
    job that this one tunes again; that one may be deleted since.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "state", "created_at", "id"),
        Index(None, "model", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(200))
    model: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(16))
    spec: Mapped[JsonObject] = mapped_column(JSON)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    idempotency_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    parent_id: Mapped[str | None] = mapped_column(String(32))

    evaluated: Mapped[int] = mapped_column(default=0)
    planned: Mapped[int] = mapped_column(default=0)
    hypervolume: Mapped[float | None]
    eta_seconds: Mapped[float | None]
    activity: Mapped[str | None] = mapped_column(String(ACTIVITY_LENGTH))
    frontier: Mapped[list[int]] = mapped_column(JSON, default=list)

    search: Mapped[JsonObject | None] = mapped_column(JSON(none_as_null=True))
    baseline: Mapped[JsonObject | None] = mapped_column(JSON(none_as_null=True))
    misses: Mapped[list[JsonObject]] = mapped_column(JSON, default=list)
    failure: Mapped[JsonObject | None] = mapped_column(JSON(none_as_null=True))

    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_token: Mapped[int] = mapped_column(default=0)
    lease_expires_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)


class TrialRow(Base):
    """One configuration evaluated once.

    `provenance` is compact: the key `""` holds the provenance of every metric that is not named itself.
    """

    __tablename__ = "trials"
    __table_args__ = (Index(None, "job_id", "state", "number"), Index(None, "job_id", "screened", "number"))

    job_id: Mapped[str] = mapped_column(String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(16))
    configuration: Mapped[JsonObject] = mapped_column(JSON)
    metrics: Mapped[dict[str, float]] = mapped_column(JSON)
    provenance: Mapped[dict[str, str | None]] = mapped_column(JSON)
    failure_kind: Mapped[str | None] = mapped_column(String(32))
    failure_detail: Mapped[str | None] = mapped_column(Text)
    log_tail: Mapped[str | None] = mapped_column(Text)
    screened: Mapped[bool] = mapped_column(default=False)
    measured_share: Mapped[float | None]
    reason: Mapped[JsonObject | None] = mapped_column(JSON(none_as_null=True))
    intervals: Mapped[dict[str, list[float]] | None] = mapped_column(JSON(none_as_null=True))
    details: Mapped[JsonObject | None] = mapped_column(JSON(none_as_null=True))


class PredictionRow(Base):
    """What is expected of a configuration that a job did not measure; `place` 0 is nearest to the frontier."""

    __tablename__ = "predictions"

    job_id: Mapped[str] = mapped_column(String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    configuration: Mapped[JsonObject] = mapped_column(JSON)
    simulated: Mapped[dict[str, float]] = mapped_column(JSON)
    calibrated: Mapped[dict[str, float]] = mapped_column(JSON)
    intervals: Mapped[dict[str, list[float]]] = mapped_column(JSON)
    chance_feasible: Mapped[float]


class LessonRow(Base):
    """What a trial taught later jobs on the same kind of machine; it outlives its job."""

    __tablename__ = "lessons"
    __table_args__ = (Index(None, "model_family", "gpu", "engine_version", "driver", "learned_at"),)

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    trial: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model_family: Mapped[str] = mapped_column(String(200))
    gpu: Mapped[str] = mapped_column(String(100))
    engine_version: Mapped[str] = mapped_column(String(200))
    driver: Mapped[str] = mapped_column(String(100))
    learned_at: Mapped[datetime]
    lesson: Mapped[JsonObject] = mapped_column(JSON)
