"""Leases keep one worker per job, whatever happens to the workers."""

import threading
from collections.abc import Callable
from datetime import datetime

import pytest

from service.database.models import JobState
from service.database.session import Database
from service.errors import LeaseLost
from service.jobs import lifecycle
from service.settings import Settings
from service.trials import store as trials
from service.workers import lease as leases
from service.workers.lease import LEASE, MAX_ATTEMPTS, Lease
from service.workers.taking_up import KEPT, take_up
from tuner.spec import JobSpec
from tuner.trial import Trial

pytestmark = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)

Clock = Callable[[], datetime]
Advance = Callable[[float], None]
Submitted = Callable[..., str]


def acquire(database: Database, clock: Clock, owner: str = "worker") -> Lease | None:
    with database.write() as session:
        return leases.acquire(session, owner, clock())


def taken(database: Database, clock: Clock, owner: str = "worker") -> Lease:
    lease = acquire(database, clock, owner)
    assert lease is not None
    return lease


def test_the_oldest_queued_job_comes_first_and_is_running_then(
    database: Database, clock: Clock, submitted: Submitted
) -> None:
    first, second = submitted(), submitted()

    assert taken(database, clock).job_id == first
    assert taken(database, clock).job_id == second
    assert acquire(database, clock) is None
    job = lifecycle.get(database, first)
    assert (job.state, job.lease_owner) == ("running", "worker")
    assert job.started_at is not None


def test_workers_that_ask_at_once_never_get_the_same_job(
    settings: Settings, database: Database, clock: Clock, submitted: Submitted
) -> None:
    jobs = {submitted() for _ in range(6)}
    got: list[str] = []

    def worker() -> None:
        with Database(settings.url) as own:
            while (lease := acquire(own, clock)) is not None:
                got.append(lease.job_id)

    threads = [threading.Thread(target=worker) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(got) == sorted(jobs)


def test_a_job_whose_worker_fell_silent_starts_from_scratch_elsewhere(
    database: Database, clock: Clock, advance: Advance, submitted: Submitted, complete: Callable[..., Trial]
) -> None:
    job = submitted()
    lease = taken(database, clock, "first")
    with database.write() as session:
        leases.write(session, lease, {"evaluated": 1, "frontier": [0]})
        trials.put(session, job, [complete(0)])

    advance(LEASE.total_seconds() + 1)
    again = taken(database, clock, "second")

    assert again.job_id == job
    assert again.token > lease.token
    with database.read() as session:
        assert trials.find(session, job, 0) is None
    stored = lifecycle.get(database, job)
    assert (stored.evaluated, stored.frontier, stored.lease_owner) == (0, [], "second")


def test_a_renewed_lease_is_not_taken(database: Database, clock: Clock, advance: Advance, submitted: Submitted) -> None:
    submitted()
    lease = taken(database, clock)

    advance(LEASE.total_seconds() - 1)
    with database.write() as session:
        leases.renew(session, lease, clock())
    advance(LEASE.total_seconds() - 1)

    assert acquire(database, clock) is None


def test_a_worker_whose_lease_was_taken_cannot_write(
    database: Database, clock: Clock, advance: Advance, submitted: Submitted, complete: Callable[..., Trial]
) -> None:
    job = submitted()
    old = taken(database, clock)
    advance(LEASE.total_seconds() + 1)
    taken(database, clock)

    def write_a_batch() -> None:
        with database.write() as session:
            trials.put(session, job, [complete(0)])
            leases.write(session, old, {"evaluated": 1})

    with pytest.raises(LeaseLost):
        write_a_batch()
    with pytest.raises(LeaseLost), database.write() as session:
        leases.renew(session, old, clock())
    with pytest.raises(LeaseLost), database.read() as session:
        leases.cancel_requested(session, old)

    assert lifecycle.get(database, job).evaluated == 0
    with database.read() as session:
        assert trials.find(session, job, 0) is None


def test_a_job_handed_back_is_queued_as_if_never_started(
    database: Database, clock: Clock, submitted: Submitted, complete: Callable[..., Trial]
) -> None:
    job = submitted()
    lease = taken(database, clock)
    with database.write() as session:
        leases.write(session, lease, {"evaluated": 1})
        trials.put(session, job, [complete(0)])

    with database.write() as session:
        leases.hand_back(session, lease)

    stored = lifecycle.get(database, job)
    assert (stored.state, stored.evaluated, stored.started_at, stored.attempts) == ("queued", 0, None, 0)
    assert taken(database, clock).job_id == job


def test_a_job_that_takes_its_workers_down_is_given_up(
    database: Database, clock: Clock, advance: Advance, submitted: Submitted
) -> None:
    job = submitted()
    for _ in range(MAX_ATTEMPTS):
        taken(database, clock)
        advance(LEASE.total_seconds() + 1)

    assert acquire(database, clock) is None
    stored = lifecycle.get(database, job)
    assert stored.state == JobState.FAILED.value
    assert stored.failure is not None
    assert stored.failure["kind"] == "lost"


def test_a_job_to_be_cancelled_whose_worker_is_gone_is_cancelled(
    database: Database, clock: Clock, advance: Advance, submitted: Submitted
) -> None:
    job = submitted()
    taken(database, clock)
    assert lifecycle.cancel(database, job, clock()).state == "running"

    advance(LEASE.total_seconds() + 1)

    assert acquire(database, clock) is None
    assert lifecycle.get(database, job).state == "cancelled"


def test_a_worker_for_one_job_gets_no_other(
    database: Database, clock: Clock, submitted: Submitted, spec: JobSpec
) -> None:
    submitted()
    mine = lifecycle.submit(database, spec, lambda _: 1, clock(), key="mine").job.id

    with database.write() as session:
        assert leases.waiting(session, clock(), only="mine")
        lease = leases.acquire(session, "worker", clock(), only="mine")

        assert lease is not None
        assert lease.job_id == mine
        assert leases.acquire(session, "worker", clock(), only="mine") is None
        assert not leases.waiting(session, clock(), only="mine")


def test_a_job_that_is_taken_up_needs_no_lease_to_end(database: Database, clock: Clock, spec: JobSpec) -> None:
    job = lifecycle.submit(database, spec, lambda _: 1, clock(), key="mine").job.id
    for _ in range(MAX_ATTEMPTS + 1):
        lease = taken(database, clock)

        take_up(database, "mine", clock())

        with pytest.raises(LeaseLost), database.write() as session:
            leases.renew(session, lease, clock())
    stored = lifecycle.get(database, job)
    assert (stored.state, stored.attempts, stored.lease_owner) == ("queued", 0, None)


def test_a_job_that_failed_is_taken_up_and_one_that_succeeded_stays(
    database: Database, clock: Clock, spec: JobSpec
) -> None:
    for key, state in (("failed", "failed"), ("done", "succeeded")):
        lifecycle.submit(database, spec, lambda _: 1, clock(), key=key)
        with database.write() as session:
            lease = leases.acquire(session, "worker", clock(), only=key)
            assert lease is not None
            leases.write(session, lease, {"state": state, "finished_at": clock(), "lease_expires_at": None})

        take_up(database, key, clock())

    states = {job.idempotency_key: job.state for job in lifecycle.page(database, None, None, None, 10)}
    assert states == {"failed": "queued", "done": "succeeded"}


def test_jobs_that_nobody_takes_up_are_removed_in_time(
    database: Database, clock: Clock, advance: Advance, spec: JobSpec
) -> None:
    for key in ("left", "running", "mine"):
        lifecycle.submit(database, spec, lambda _: 1, clock(), key=key)
    advance(KEPT.total_seconds() + 1)
    with database.write() as session:
        leases.acquire(session, "worker", clock(), only="running")

    take_up(database, "mine", clock())

    kept = {job.idempotency_key for job in lifecycle.page(database, None, None, None, 10)}
    assert kept == {"running", "mine"}
