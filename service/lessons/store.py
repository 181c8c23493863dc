"""Lessons in the database: kept by machine, also when their job is deleted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.database.models import JsonObject, LessonRow

MOST_RECALLED: Final = 200
"""Lessons of one scope that a job starts from at most, the newest ones."""

Scope = tuple[str, str, str, str]
"""Model family, GPU, engine version, driver."""


def put(session: Session, job_id: str, trial: int, scope: Scope, lesson: JsonObject, now: datetime) -> None:
    """Keeps what a trial taught; a later word on the same trial takes its place."""
    family, gpu, engine_version, driver = scope
    values = {
        "job_id": job_id,
        "trial": trial,
        "model_family": family,
        "gpu": gpu,
        "engine_version": engine_version,
        "driver": driver,
        "learned_at": now,
        "lesson": lesson,
    }
    dialect = session.connection().dialect.name
    insert = postgresql.insert(LessonRow) if dialect == "postgresql" else sqlite.insert(LessonRow)
    changed = {name: insert.excluded[name] for name in values if name not in ("job_id", "trial")}
    session.execute(insert.values(values).on_conflict_do_update(index_elements=["job_id", "trial"], set_=changed))


def find(session: Session, scope: Scope, except_job: str) -> Sequence[JsonObject]:
    """The newest lessons of a scope, oldest first, without those of one job."""
    family, gpu, engine_version, driver = scope
    query = (
        select(LessonRow.lesson)
        .where(
            LessonRow.model_family == family,
            LessonRow.gpu == gpu,
            LessonRow.engine_version == engine_version,
            LessonRow.driver == driver,
            LessonRow.job_id != except_job,
        )
        .order_by(LessonRow.learned_at.desc(), LessonRow.job_id, LessonRow.trial.desc())
        .limit(MOST_RECALLED)
    )
    return list(reversed(session.scalars(query).all()))
