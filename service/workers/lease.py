"""Leases: which worker has which job, and how a job comes back when its worker is gone.

A lease has an end that its worker keeps moving, and a fencing token that grows with each lease of the job: whoever
writes for a job does so under the condition that its token is still the newest. Clocks of workers on several machines
must agree to within a few seconds.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from service.database.models import JobRow, JobState
from service.errors import LeaseLost
from service.trials import store as trials
from tuner.errors import SpecError
from tuner.spec import JobSpec, parse_spec

LEASE: Final = timedelta(seconds=15)
"""How long a job waits for a sign of its worker before another takes it."""
MAX_ATTEMPTS: Final = 3
"""Leases without an end after which a job is given up: it is what takes its workers down."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one worker to write for one job."""

    job_id: str
    token: int
    spec: JobSpec


def waiting(session: Session, now: datetime, only: str | None = None) -> bool:
    """Whether there is a job to lease; reads only."""
    return session.scalar(select(JobRow.id).where(_free(now, only)).limit(1)) is not None


def acquire(session: Session, owner: str, now: datetime, only: str | None = None) -> Lease | None:
    """Leases the oldest job that is queued or whose worker is gone; see `_restart` for what it starts from.

    `only` is the idempotency key of the one job to look at. On the way, jobs of lost workers that were to be cancelled are cancelled, and those that took `MAX_ATTEMPTS`
    workers down fail.
    """
    oldest = (
        select(JobRow)
        .where(_free(now, only))
        .order_by(JobRow.created_at, JobRow.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    while (job := session.scalar(oldest)) is not None:
        job.lease_token += 1
        if job.cancel_requested:
            _end(job, JobState.CANCELLED, now)
        elif job.attempts >= MAX_ATTEMPTS:
            job.failure = {
                "kind": "lost",
                "detail": f"{job.attempts} workers in a row stopped without a word while they ran it; "
                "look at their logs (memory?) and submit it again",
            }
            _end(job, JobState.FAILED, now)
        elif (spec := _spec(job)) is None:
            _end(job, JobState.FAILED, now)
        else:
            _restart(session, job, keeps=spec.measures)
            job.state = JobState.RUNNING.value
            job.started_at = now
            job.attempts += 1
            job.lease_owner = owner
            job.lease_expires_at = now + LEASE
            session.flush()
            return Lease(job.id, job.lease_token, spec)
        session.flush()
    return None


def renew(session: Session, lease: Lease, now: datetime) -> None:
    """Moves the lease's end; raises `LeaseLost`."""
    write(session, lease, {"lease_expires_at": now + LEASE})


def hold(session: Session, lease: Lease) -> None:
    """Keeps the job the worker's until the transaction ends; raises `LeaseLost`."""
    write(session, lease, {"lease_token": lease.token})


def write(session: Session, lease: Lease, values: dict[str, object]) -> None:
    """Sets columns of the leased job, which then nobody else changes until the transaction ends.

    Raises `LeaseLost` when another worker, or nobody, has the job now.
    """
    statement = update(JobRow).where(_held(lease)).values(values).returning(JobRow.id)
    if session.scalar(statement.execution_options(synchronize_session=False)) is None:
        raise LeaseLost(f"job {lease.job_id} is no longer this worker's; what it found since is dropped")


def cancel_requested(session: Session, lease: Lease) -> bool:
    """Whether the leased job is to stop; raises `LeaseLost`."""
    asked = session.scalar(select(JobRow.cancel_requested).where(_held(lease)))
    if asked is None:
        raise LeaseLost(f"job {lease.job_id} is no longer this worker's")
    return asked


def take_up(session: Session, key: str) -> None:
    """Queues the job of an idempotency key again that was cut short or failed, whoever had leased it.

    Its attempts count anew.
    For those alone who know that no worker of the job lives.
    """
    again = (JobState.RUNNING.value, JobState.FAILED.value)
    queued = {"state": JobState.QUEUED.value, "started_at": None, "finished_at": None, "failure": None}
    free = {"lease_owner": None, "lease_expires_at": None, "attempts": 0, "cancel_requested": False, "activity": None}
    session.execute(update(JobRow).where(JobRow.idempotency_key == key, JobRow.state.in_(again)).values(queued | free))


def hand_back(session: Session, lease: Lease) -> None:
    """Puts the leased job back into the queue, as if it had not been started; raises `LeaseLost`."""
    write(session, lease, {"attempts": JobRow.attempts - 1})
    _requeue(session, lease)


def give_up(session: Session, lease: Lease) -> None:
    """Puts the leased job back into the queue, as one that took its worker down; raises `LeaseLost`."""
    write(session, lease, {"lease_owner": None})
    _requeue(session, lease)


def _requeue(session: Session, lease: Lease) -> None:
    job = session.get_one(JobRow, lease.job_id, populate_existing=True)
    _restart(session, job, keeps=lease.spec.measures)
    job.state = JobState.QUEUED.value
    job.started_at = None
    job.lease_owner = None
    job.lease_expires_at = None


def _free(now: datetime, only: str | None) -> ColumnElement[bool]:
    free = or_(
        JobRow.state == JobState.QUEUED.value,
        and_(JobRow.state == JobState.RUNNING.value, JobRow.lease_expires_at <= now),
    )
    return free if only is None else and_(free, JobRow.idempotency_key == only)


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(
        JobRow.id == lease.job_id,
        JobRow.state == JobState.RUNNING.value,
        JobRow.lease_token == lease.token,
    )


def _spec(job: JobRow) -> JobSpec | None:
    """The job's spec; one that this version does not read any more becomes the job's failure."""
    try:
        return parse_spec(job.spec)
    except SpecError as error:
        job.failure = {"kind": "invalid_spec", "detail": f"this version of paretune cannot read the spec: {error}"}
        return None


def _restart(session: Session, job: JobRow, *, keeps: bool) -> None:
    """Forgets what an earlier lease wrote: a simulated sweep starts from scratch, measurements that ended are kept."""
    job.activity = None
    if keeps:
        trials.remove_running(session, job.id)
        return
    trials.remove_all(session, job.id)
    job.evaluated = 0
    job.hypervolume = None
    job.eta_seconds = None
    job.frontier = []
    job.search = None
    job.baseline = None
    job.misses = []
    job.failure = None


def _end(job: JobRow, state: JobState, now: datetime) -> None:
    job.state = state.value
    job.finished_at = now
    job.eta_seconds = None
    job.activity = None
    job.lease_owner = None
    job.lease_expires_at = None
