"""What may happen to a job: submitted, looked at, cancelled, deleted."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue
from pydantic_core import to_json
from sqlalchemy.exc import IntegrityError

from service.database.models import JobRow, JobState, JsonObject
from service.database.session import Database
from service.errors import Conflict, InvalidRequest, NotFound
from service.jobs import store
from tuner.spec import JobSpec, parse_spec

Position = store.Position
"""Where a page of jobs ends."""

Planner = Callable[[JobSpec], int]
"""Counts the configurations of a spec; raises `SpecError` for one that cannot be done."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A job, and whether an earlier request with the same idempotency key had made it."""

    job: JobRow
    replayed: bool


def submit(
    database: Database,
    spec: JobSpec,
    plan: Planner,
    now: datetime,
    key: str | None = None,
    parent_id: str | None = None,
) -> Submission:
    """Queues a job; with a key seen before it gives the job of then. `parent_id`: the job that it tunes again.

    Raises `SpecError` for a spec that cannot be done and `InvalidRequest` for a key of another spec.
    """
    plain: JsonObject = spec.model_dump(mode="json")
    digest = hashlib.sha256(to_json([plain, parent_id] if parent_id else plain)).hexdigest()
    if key is not None and (earlier := _replay(database, key, digest)) is not None:
        return earlier
    job = JobRow(
        id=secrets.token_hex(8),
        name=spec.name,
        model=spec.model,
        state=JobState.QUEUED.value,
        spec=plain,
        created_at=now,
        idempotency_key=key,
        request_digest=digest,
        parent_id=parent_id,
        planned=plan(spec),
        misses=[],
        frontier=[],
    )
    try:
        with database.write() as session:
            store.add(session, job)
    except IntegrityError:
        if key is not None and (earlier := _replay(database, key, digest)) is not None:
            return earlier
        raise
    return Submission(job, replayed=False)


def retuned_spec(database: Database, job_id: str, changes: JsonObject) -> JobSpec:
    """The spec of a job with changes merged into it (RFC 7396), which starts from what that job learned.

    Raises `NotFound`, and `SpecError` for a change that is wrong.
    """
    spec = get(database, job_id).spec
    learned: JsonObject = {**spec, "reuse": "learned"}
    return parse_spec(_merged(learned, changes))


def get(database: Database, job_id: str) -> JobRow:
    """The job of that id; raises `NotFound`."""
    with database.read() as session:
        return _found(store.find(session, job_id), job_id)


def page(
    database: Database, state: JobState | None, model: str | None, after: Position | None, limit: int
) -> Sequence[JobRow]:
    """At most `limit` jobs after a position, newest first."""
    with database.read() as session:
        return store.page(session, state, model, after, limit)


def cancel(database: Database, job_id: str, now: datetime) -> JobRow:
    """Ends a queued job, or one whose worker is gone, at once; asks the worker of a running one to stop.

    Raises `NotFound`, and `Conflict` when the job is over.
    """
    with database.write() as session:
        job = _found(store.find_to_change(session, job_id), job_id)
        state = JobState(job.state)
        if state.is_final:
            raise Conflict(f"job {job_id} has {_past(state)}; only queued and running jobs can be cancelled")
        job.cancel_requested = True
        abandoned = job.lease_expires_at is None or job.lease_expires_at <= now
        if state is JobState.QUEUED or abandoned:
            job.state = JobState.CANCELLED.value
            job.finished_at = now
            job.eta_seconds = None
            job.activity = None
            job.lease_token += 1
            job.lease_owner = None
            job.lease_expires_at = None
        return job


def delete(database: Database, job_id: str) -> JobRow:
    """Removes a job that is over, with its trials.

    Raises `NotFound`, and `Conflict` when the job is queued or running.
    """
    with database.write() as session:
        job = _found(store.find_to_change(session, job_id), job_id)
        if not JobState(job.state).is_final:
            raise Conflict(f"job {job_id} is {job.state}; cancel it first, then delete it")
        store.remove(session, job)
        return job


def _merged(target: JsonValue, patch: JsonValue) -> JsonValue:
    """A JSON merge patch applied (RFC 7396): objects are merged, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _replay(database: Database, key: str, digest: str) -> Submission | None:
    with database.read() as session:
        job = store.find_by_key(session, key)
    if job is None:
        return None
    if job.request_digest != digest:
        raise InvalidRequest.of("Idempotency-Key", f"was used for job {job.id} with another spec; take a new key")
    return Submission(job, replayed=True)


def _found(job: JobRow | None, job_id: str) -> JobRow:
    if job is None:
        raise NotFound(f"there is no job {job_id!r}; GET /v1/jobs lists those there are")
    return job


def _past(state: JobState) -> str:
    return "been cancelled" if state is JobState.CANCELLED else state.value
