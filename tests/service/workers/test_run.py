"""The worker with real processes, the real search and real databases."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psutil
import pytest

from service.database import migrate
from service.database.models import JobRow
from service.database.session import Database
from service.jobs import lifecycle
from service.settings import Settings
from service.trials import lifecycle as results
from service.workers.run import work
from tuner.evaluators.pool import EvaluationPool
from tuner.spec import JobSpec

Submitted = Callable[..., str]
SLOW: dict[str, object] = {
    "model": "Qwen/Qwen3-235B-A22B",
    "hardware": {"gpu": ["h100_sxm", "h200_sxm", "b200_sxm"], "gpus": 16},
    "workload": {"input_tokens": 256, "output_tokens": 64, "concurrency": "auto"},
    "pricing": {"gpu_hour_usd": 2.0},
    "space": {},
}
"""A sweep of seconds, so that there is time to disturb it."""


@pytest.fixture(scope="module")
def pool() -> Iterator[EvaluationPool]:
    with EvaluationPool(processes=1) as opened:
        yield opened


@contextmanager
def working(settings: Settings, pool: EvaluationPool) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(settings,), kwargs={"stop": stop, "pool": pool})
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(timeout=30)
        assert not thread.is_alive()


def until(database: Database, job: str, condition: Callable[[JobRow], bool], seconds: float = 60) -> JobRow:
    deadline = time.monotonic() + seconds
    while True:
        row = lifecycle.get(database, job)
        if condition(row):
            return row
        state = f"job is {row.state} with {row.evaluated} trials: {row.failure}"
        assert time.monotonic() < deadline, state
        assert not is_over(row), state
        time.sleep(0.02)


def is_over(row: JobRow) -> bool:
    return row.state in ("succeeded", "failed", "cancelled")


@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
def test_a_queued_job_is_run_to_its_frontier(
    settings: Settings, database: Database, submitted: Submitted, pool: EvaluationPool
) -> None:
    job = submitted()

    work(settings, stop=threading.Event(), once=True, pool=pool)

    row = lifecycle.get(database, job)
    assert row.state == "succeeded", row.failure
    assert row.evaluated == row.planned > 0
    assert row.search is not None
    assert row.search["sampler"] == "exhaustive"
    found = results.frontier(database, job)
    assert [point.number for point in found.points]
    assert set(results.recommended(database, job)[1]) == {"cheapest", "greenest", "fastest", "balanced"}
    _, trials = results.page(database, job, None, None, 1_000)
    assert [stored.number for stored in trials] == list(range(row.evaluated))


def test_a_running_job_that_is_cancelled_stops_half_way_and_keeps_its_trials(
    settings: Settings, database: Database, submitted: Submitted, pool: EvaluationPool
) -> None:
    job = submitted(**SLOW)
    with working(settings, pool):
        until(database, job, lambda row: row.evaluated > 0)

        lifecycle.cancel(database, job, datetime.now(UTC))
        row = until(database, job, is_over)

    assert row.state == "cancelled"
    assert row.evaluated < row.planned
    _, trials = results.page(database, job, None, None, 1)
    assert trials


def test_a_worker_that_is_stopped_hands_its_job_back(
    settings: Settings, database: Database, submitted: Submitted, pool: EvaluationPool
) -> None:
    job = submitted(**SLOW)
    with working(settings, pool) as stop:
        until(database, job, lambda row: row.evaluated > 0)
        stop.set()
        row = until(database, job, lambda row: row.state == "queued", seconds=5)

    assert (row.evaluated, row.attempts) == (0, 0)


def test_a_wrong_spec_fails_the_job_and_the_worker_goes_on(
    settings: Settings, database: Database, submitted: Submitted, pool: EvaluationPool
) -> None:
    wrong, right = submitted(model="no/such-model"), submitted()

    work(settings, stop=threading.Event(), once=True, pool=pool)

    row = lifecycle.get(database, wrong)
    assert row.state == "failed"
    assert row.failure is not None
    assert "no/such-model" in str(row.failure["detail"])
    assert lifecycle.get(database, right).state == "succeeded"


def test_a_worker_waits_for_the_schema(
    settings: Settings, empty_database: Database, pool: EvaluationPool, spec: JobSpec
) -> None:
    with working(settings, pool):
        time.sleep(0.3)
        migrate.upgrade(empty_database)
        job = lifecycle.submit(empty_database, spec, lambda _: 1, datetime.now(UTC)).job.id
        row = until(empty_database, job, is_over)
    assert row.state == "succeeded"


WORKER = """
import threading
from service.settings import load_settings
from service.workers.run import stop_on_signals, work
if __name__ == "__main__":
    stop = threading.Event()
    with stop_on_signals(stop):
        work(load_settings(), stop=stop)
"""


@pytest.fixture
def worker(settings: Settings, database: Database) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process of its own on the test's database, in a process group of its own."""
    environment = {**os.environ, "PARETUNE_DATA_DIR": str(settings.data_dir), "PYTHONPATH": os.pathsep.join(sys.path)}
    started = subprocess.Popen([sys.executable, "-c", WORKER], env=environment, start_new_session=True)
    yield started
    if group_lives(started.pid):
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()


def test_sigterm_hands_the_job_back_and_leaves_no_process(
    worker: subprocess.Popen[bytes], database: Database, submitted: Submitted
) -> None:
    job = submitted(**SLOW)
    until(database, job, lambda row: row.evaluated > 0)

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(timeout=10) == 0
    assert lifecycle.get(database, job).state == "queued"
    deadline = time.monotonic() + 5
    while group_lives(worker.pid):
        assert time.monotonic() < deadline, "the worker left processes behind"
        time.sleep(0.05)


def test_a_worker_whose_evaluating_process_died_starts_others_and_runs_the_job_again(
    worker: subprocess.Popen[bytes], database: Database, submitted: Submitted
) -> None:
    job = submitted(**SLOW)
    until(database, job, lambda row: row.evaluated > 0)

    newest = max(group_members(worker.pid), key=lambda pid: psutil.Process(pid).create_time())
    os.kill(newest, signal.SIGKILL)

    row = until(database, job, lambda row: row.attempts == 2 and row.evaluated > 0)
    assert row.state == "running"
    assert worker.poll() is None


def group_members(group: int) -> list[int]:
    """The processes of a group, the youngest last."""
    found = subprocess.run(["ps", "-eo", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
    return sorted(int(pid) for pid, owner in map(str.split, found.splitlines()) if int(owner) == group)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
