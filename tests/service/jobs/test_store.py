"""The contract of the stores: the same on SQLite and on PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.exc import IntegrityError

from service.database.models import JobRow, JobState
from service.database.session import Database
from service.jobs import store
from service.trials import store as trials
from tuner.trial import Trial, TrialState

pytestmark = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)

NOON = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)


def job(name: str, created_at: datetime = NOON, state: JobState = JobState.QUEUED, key: str | None = None) -> JobRow:
    return JobRow(
        id=name,
        model=f"model-of-{name}",
        state=state.value,
        spec={"model": "m", "unicode": "größe", "bound": 1.5},
        created_at=created_at,
        request_digest="0" * 64,
        idempotency_key=key,
        frontier=[],
        misses=[],
    )


def keep(database: Database, *jobs: JobRow) -> None:
    with database.write() as session:
        for row in jobs:
            store.add(session, row)


def test_a_stored_job_comes_back_as_it_was(database: Database) -> None:
    keep(database, job("a"))

    with database.read() as session:
        found = store.find(session, "a")
    assert found is not None
    assert found.spec == {"model": "m", "unicode": "größe", "bound": 1.5}
    assert (found.failure, found.search, found.evaluated) == (None, None, 0)


def test_moments_come_back_in_utc_to_the_microsecond(database: Database) -> None:
    keep(database, job("a", NOON.astimezone(timezone(timedelta(hours=5)))))

    with database.read() as session:
        found = store.find(session, "a")
    assert found is not None
    assert found.created_at == NOON
    assert found.created_at.utcoffset() == timedelta(0)


def test_pages_run_from_the_newest_to_the_oldest_and_ties_are_not_lost(database: Database) -> None:
    keep(
        database, *(job(name, NOON + timedelta(seconds=age)) for name, age in (("a", 0), ("b", 1), ("c", 1), ("d", 2)))
    )

    with database.read() as session:
        first = store.page(session, None, None, None, 2)
        second = store.page(session, None, None, (first[-1].created_at, first[-1].id), 2)
    assert [row.id for row in (*first, *second)] == ["d", "c", "b", "a"]


def test_a_page_can_be_of_one_state_or_one_model(database: Database) -> None:
    keep(database, job("a"), job("b", state=JobState.FAILED))

    with database.read() as session:
        assert [row.id for row in store.page(session, JobState.FAILED, None, None, 9)] == ["b"]
        assert [row.id for row in store.page(session, None, "model-of-a", None, 9)] == ["a"]


def test_two_jobs_cannot_have_one_idempotency_key(database: Database) -> None:
    keep(database, job("a", key="k"))

    with pytest.raises(IntegrityError):
        keep(database, job("b", key="k"))


def test_jobs_are_counted_by_state(database: Database) -> None:
    keep(database, job("a"), job("b"), job("c", state=JobState.FAILED))

    with database.read() as session:
        counted = store.count_by_state(session)
    assert (counted[JobState.QUEUED], counted[JobState.FAILED], counted[JobState.RUNNING]) == (2, 1, 0)


def test_trials_come_back_as_they_were(
    database: Database, complete: Callable[..., Trial], failed: Callable[[int], Trial]
) -> None:
    keep(database, job("a"))
    written = [complete(0, cost=0.1 + 0.2), failed(1)]

    with database.write() as session:
        trials.put(session, "a", written)
    with database.read() as session:
        found = trials.find_many(session, "a", [1, 0, 7])

    assert list(found) == written


def test_a_trial_written_again_is_replaced(
    database: Database, complete: Callable[..., Trial], failed: Callable[[int], Trial]
) -> None:
    keep(database, job("a"))
    with database.write() as session:
        trials.put(session, "a", [complete(0), failed(1)])

    refined = [complete(1, cost=0.5), complete(2)]
    with database.write() as session:
        trials.put(session, "a", refined)

    with database.read() as session:
        assert list(trials.find_many(session, "a", [0, 1, 2])) == [complete(0), *refined]


def test_trials_are_paged_by_number_and_state(
    database: Database, complete: Callable[..., Trial], failed: Callable[[int], Trial]
) -> None:
    keep(database, job("a"), job("b"))
    with database.write() as session:
        trials.put(session, "a", [failed(n) if n % 3 == 0 else complete(n) for n in range(10)])
        trials.put(session, "b", [complete(0)])

    with database.read() as session:
        page = trials.page(session, "a", None, 3, 4)
        broken = trials.page(session, "a", TrialState.FAILED, None, 100)
    assert [stored.number for stored in page] == [4, 5, 6, 7]
    assert [stored.number for stored in broken] == [0, 3, 6, 9]


def test_a_removed_job_takes_its_trials_along(database: Database, complete: Callable[..., Trial]) -> None:
    keep(database, job("a"))
    with database.write() as session:
        trials.put(session, "a", [complete(0)])

    with database.write() as session:
        found = store.find_to_change(session, "a")
        assert found is not None
        store.remove(session, found)

    with database.read() as session:
        assert trials.find(session, "a", 0) is None


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def fail_halfway() -> None:
        with database.write() as session:
            store.add(session, job("a"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()

    with database.read() as session:
        assert store.find(session, "a") is None
