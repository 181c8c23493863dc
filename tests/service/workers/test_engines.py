"""Measuring jobs on a real engine through a worker: what dies loses its own trial at most, and nothing is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from service.database.session import Database
from service.dependencies import utc_now
from service.jobs import lifecycle
from service.settings import Settings
from service.trials import store as trials
from service.workers.lease import LEASE
from service.workers.run import work
from tests.tuner.engines.tiny_model import write_model
from tuner.engines.members import members
from tuner.engines.ports import is_free
from tuner.engines.records import Record
from tuner.engines.served import ledger_of
from tuner.evaluators.pool import EvaluationPool
from tuner.trial import FailureKind, Trial, TrialState

PATIENCE_SECONDS = 120.0
WORKER = """
import sys, threading
from pathlib import Path
from service.settings import Settings
from service.workers.run import work
if __name__ == "__main__":
    work(Settings(data_dir=Path(sys.argv[1])), stop=threading.Event())
"""
Submitted = Callable[..., str]
Found = TypeVar("Found")


@pytest.fixture(scope="module")
def pool() -> Iterator[EvaluationPool]:
    with EvaluationPool(processes=1) as opened:
        yield opened


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, object]:
    """A job on a model of random weights that is slower than the client that loads it."""
    return {
        "model": str(write_model(tmp_path / "tiny.gguf", width=512, layers=8)),
        "engine": "llama.cpp",
        "hardware": {"gpu": "cpu", "gpus": 1},
        "workload": {"input_tokens": 32, "output_tokens": 16},
        "objectives": ["cost", "tpot"],
        "pricing": {"gpu_hour_usd": 0.05},
        "evaluator": "measure",
        "measuring": {"seconds": 4, "precision": 0.5, "repeats": 1},
        "budget": {"trials": 4},
        "space": {
            "weights": ["f16"],
            "kv_cache": ["f16"],
            "max_batch_size": [1, 2, 4],
            "max_num_tokens": [64],
            "micro_batch": [64],
            "flash_attention": [True],
            "concurrency": [1],
        },
    }


def test_a_server_that_dies_in_mid_load_fails_its_trial_and_the_job_goes_on(
    settings: Settings, database: Database, submitted: Submitted, asked: dict[str, object], pool: EvaluationPool
) -> None:
    job = submitted(**asked)
    worker = threading.Thread(target=lambda: work(settings, stop=threading.Event(), once=True, pool=pool))
    worker.start()
    record = _await(lambda: _loaded(settings, worker.is_alive))

    os.kill(_server_of(record).pid, signal.SIGKILL)
    failed = _await(lambda: next((t for t in _trials(database, job) if t.state is TrialState.FAILED), None))

    assert failed.failure is not None
    assert failed.failure.kind is FailureKind.CRASHED
    worker.join(PATIENCE_SECONDS)
    found = lifecycle.get(database, job)
    assert found.state == "succeeded", found.failure
    others = [trial for trial in _trials(database, job) if trial.number != failed.number]
    assert any(trial.state is TrialState.COMPLETE for trial in others)
    _nothing_is_left_of(record, settings)


def test_a_worker_that_is_killed_in_mid_trial_loses_that_trial_alone(
    settings: Settings, database: Database, submitted: Submitted, asked: dict[str, object], pool: EvaluationPool
) -> None:
    job = submitted(**asked)
    command = [sys.executable, "-c", WORKER, str(settings.data_dir)]
    with subprocess.Popen(command, start_new_session=True) as worker:
        _await(lambda: len(_ended(database, job)) or None)
        record = _await(lambda: _loaded(settings, lambda: worker.poll() is None))

        os.killpg(worker.pid, signal.SIGKILL)

    known = _ended(database, job)
    assert lifecycle.get(database, job).state == "running"

    def later() -> datetime:
        return utc_now() + LEASE + timedelta(seconds=1)

    work(settings, stop=threading.Event(), once=True, pool=pool, clock=later)

    found = lifecycle.get(database, job)
    assert found.state == "succeeded", found.failure
    ended = {trial.number: trial for trial in _ended(database, job)}
    assert sorted(ended) == list(range(len(ended)))
    assert len(ended) > len(known)
    # but for the reference configuration, which is measured once more at the end
    assert [ended[trial.number] for trial in known[1:]] == known[1:]
    _nothing_is_left_of(record, settings)


def _await(look: Callable[[], Found | None]) -> Found:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def _trials(database: Database, job: str) -> list[Trial]:
    with database.read() as session:
        return trials.all_of(session, job)


def _ended(database: Database, job: str) -> list[Trial]:
    return [trial for trial in _trials(database, job) if trial.state is not TrialState.RUNNING]


def _loaded(settings: Settings, lives: Callable[[], bool]) -> Record | None:
    """The record of a server that has begun to answer requests."""
    assert lives()
    for record in ledger_of(settings.data_dir).records():
        logs = sorted((settings.data_dir / "measurements").glob("*/*/engine.log"))
        if record.keeper is not None and logs and "launch_slot_" in logs[-1].read_text(errors="replace"):
            return record
    return None


def _server_of(record: Record) -> psutil.Process:
    assert record.keeper is not None
    return psutil.Process(record.keeper.pid).children()[0]


def _nothing_is_left_of(record: Record, settings: Settings) -> None:
    assert members(record.run, record.keeper) == []
    assert ledger_of(settings.data_dir).records() == []
    assert is_free(record.port)
