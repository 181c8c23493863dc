"""A worker on scripted GPUs: what it set on them is put back, by whatever death it ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.database.session import Database
from service.jobs import lifecycle
from service.settings import Settings
from service.workers.run import work
from tests.service.workers.test_run import WORKER, until
from tests.tuner.engines.tensorrt_llm.conftest import STANDIN
from tests.tuner.evaluators.gpu_jobs import orders, uses
from tests.tuner.power.scripted import Machine, environment, is_changed
from tuner.engines.served import ledger_of
from tuner.evaluators.pool import EvaluationPool

Submitted = Callable[..., str]
JOB: dict[str, object] = {
    "hardware": {"gpu": "h100_sxm", "gpus": 1},
    "workload": {"input_tokens": 64, "output_tokens": 8},
    "evaluator": "measure",
    "measuring": {"seconds": 60, "precision": 0.001, "repeats": 1},
    "budget": {"trials": 1},
    "space": {"tensor_parallel": [1], "weights": ["bfloat16"], "concurrency": [2], "power_limit_watts": [450]},
    "allow_power_control": True,
}


@pytest.fixture(scope="module")
def pool() -> Iterator[EvaluationPool]:
    with EvaluationPool(processes=1) as opened:
        yield opened


@pytest.fixture
def worker(
    settings: Settings,
    database: Database,
    machine: Machine,
    nvml_library: Path,
    steps_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker process of its own, on a machine with one GPU whose power it may set."""
    machine.add()
    monkeypatch.setenv(*orders(steps_folder))
    variables = {
        **environment(nvml_library, machine),
        "PARETUNE_DATA_DIR": str(settings.data_dir),
        "PARETUNE_ALLOW_POWER_CONTROL": "true",
        "PARETUNE_TRTLLM_COMMAND": " ".join(STANDIN),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    started = subprocess.Popen([sys.executable, "-c", WORKER], env=variables, start_new_session=True)
    yield started
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()


def eventually(holds: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_limits_are_put_back_when_the_worker_is_stopped(
    worker: "subprocess.Popen[bytes]", machine: Machine, database: Database, submitted: Submitted
) -> None:
    job = submitted(**JOB)
    eventually(lambda: machine.gpus[0].limit_watts == 450)

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(timeout=60) == 0
    assert is_changed(*machine.gpus) == [False]
    assert until(database, job, lambda row: row.state == "queued").attempts == 0


def test_limits_and_servers_of_a_worker_that_was_killed_are_cleared_up_by_the_next(
    worker: "subprocess.Popen[bytes]",
    machine: Machine,
    settings: Settings,
    submitted: Submitted,
    database: Database,
    pool: EvaluationPool,
) -> None:
    job = submitted(**JOB)
    eventually(lambda: machine.gpus[0].limit_watts == 450)

    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert is_changed(*machine.gpus) == [True]
    work(settings, stop=threading.Event(), once=True, pool=pool)

    assert is_changed(*machine.gpus) == [False]
    assert ledger_of(settings.data_dir).records() == []
    assert all(end < time.monotonic() for _, end in uses(machine.gpus[0]))
    assert lifecycle.get(database, job).state == "running"  # until its lease ends
