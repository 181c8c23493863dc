"""Jobs in the database."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, or_, select, tuple_
from sqlalchemy.orm import Session

from service.database.models import JobRow, JobState

Position = tuple[datetime, str]
"""Where a page of jobs ends: the moment of the last one's creation, and its id."""


def find(session: Session, job_id: str) -> JobRow | None:
    """The job of that id."""
    return session.get(JobRow, job_id)


def find_to_change(session: Session, job_id: str) -> JobRow | None:
    """The job of that id, which nobody else changes until the transaction ends."""
    return session.scalar(select(JobRow).where(JobRow.id == job_id).with_for_update())


def find_by_key(session: Session, key: str) -> JobRow | None:
    """The job that was submitted with that idempotency key."""
    return session.scalar(select(JobRow).where(JobRow.idempotency_key == key))


def page(
    session: Session, state: JobState | None, model: str | None, after: Position | None, limit: int
) -> Sequence[JobRow]:
    """At most `limit` jobs after a position, newest first."""
    query = select(JobRow)
    if state is not None:
        query = query.where(JobRow.state == state.value)
    if model is not None:
        query = query.where(JobRow.model == model)
    if after is not None:
        query = query.where(tuple_(JobRow.created_at, JobRow.id) < tuple_(*after))
    return session.scalars(query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit)).all()


def count_by_state(session: Session) -> dict[JobState, int]:
    """How many jobs there are in each state."""
    counted = session.execute(select(JobRow.state, func.count()).group_by(JobRow.state))
    return dict.fromkeys(JobState, 0) | {JobState(state): count for state, count in counted}


def count_evaluated(session: Session) -> int:
    """Trials that all jobs hold together."""
    return session.scalar(select(func.coalesce(func.sum(JobRow.evaluated), 0))) or 0


def add(session: Session, job: JobRow) -> None:
    """Stores a new job; raises `IntegrityError` at once when its idempotency key is taken."""
    session.add(job)
    session.flush()


def remove(session: Session, job: JobRow) -> None:
    """Removes a job with its trials."""
    session.delete(job)
    session.flush()


def remove_idle(session: Session, before: datetime, except_key: str) -> None:
    """Removes the jobs from before that moment, with their trials, that no worker has had since; one of them stays."""
    is_idle = or_(JobRow.lease_expires_at.is_(None), JobRow.lease_expires_at < before)
    session.execute(delete(JobRow).where(JobRow.created_at < before, is_idle, JobRow.idempotency_key != except_key))
