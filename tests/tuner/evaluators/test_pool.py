"""The evaluating processes: they agree with this one, and are gone when their owner is."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tuner.evaluators.pool import EvaluationPool
from tuner.evaluators.simulate import SimulateEvaluator
from tuner.simulator.kernel_data import KernelData
from tuner.space.build import build_space
from tuner.space.meaning import meaning_of
from tuner.spec import JobSpec

Job = Callable[..., JobSpec]
NARROW = {"tensor_parallel": [1, 2], "weights": ["fp8"], "kv_cache": ["fp8"], "concurrency": [1, 16, 128]}

OWNER = """
import sys, time
from tuner.evaluators.pool import EvaluationPool
from tuner.spec import parse_spec

if __name__ == "__main__":
    spec = parse_spec({
        "model": "Qwen/Qwen3-14B",  # its shape is one of ours
        "hardware": {"gpu": "h100_sxm", "gpus": 8},
        "workload": {"input_tokens": 1024, "output_tokens": 128},
        "objectives": ["tpot"],
    })
    started = time.monotonic()
    with EvaluationPool(processes=2) as pool:
        print(f"entered {time.monotonic() - started:.3f}", flush=True)
        for warm in [pool.screen(spec, 0, 8), pool.screen(spec, 8, 16)]:
            warm.result()
        work = [pool.screen(spec, 0, 2000) for _ in range(8)]  # seconds of it
        print("busy", flush=True)
        if sys.argv[1] == "wait":
            time.sleep(60)
        left = time.monotonic()
    print(f"left {time.monotonic() - left:.3f}", flush=True)
"""


@contextmanager
def owner(what: str, temporary: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that owns a pool, in a session of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, what], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            if members(process.pid):
                os.killpg(process.pid, signal.SIGKILL)


def members(session: int) -> list[int]:
    """Processes of a session that live."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def gone(session: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while members(session):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_figures_are_those_of_this_process(job: Job, pool: EvaluationPool, kernels: KernelData) -> None:
    spec = job(space=NARROW)
    space = build_space(spec)
    alone = SimulateEvaluator(meaning_of(spec), kernels)

    assert pool.screen(spec, 0, len(space)).result() == [alone.screen(c) for c in space]
    assert pool.screen_these(spec, space[::-1]).result() == [alone.screen(c) for c in space[::-1]]
    assert pool.simulate(spec, space[:4]).result() == [alone.simulate(c) for c in space[:4]]


def test_an_error_of_the_work_comes_back_and_the_pool_lives_on(job: Job, pool: EvaluationPool) -> None:
    spec = job(space=NARROW)

    with pytest.raises(Exception, match="nobody/x"):
        pool.screen(spec.model_copy(update={"model": "nobody/x"}), 0, 1).result()

    assert len(pool.screen(spec, 0, 2).result()) == 2


def test_leaving_ends_everything_even_mid_work_and_leaves_no_file(tmp_path: Path) -> None:
    with owner("leave", tmp_path) as process:
        line(process)
        assert line(process) == "busy\n"
        assert line(process).startswith("left")

        assert process.wait(timeout=10) == 0
        assert gone(process.pid, seconds=5)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_owner_leaves_no_process(tmp_path: Path) -> None:
    with owner("wait", tmp_path) as process:
        line(process)
        assert line(process) == "busy\n"
        assert len(members(process.pid)) >= 3

        process.kill()

        assert gone(process.pid, seconds=5)


def test_ctrl_c_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    with owner("wait", tmp_path) as process:
        line(process)
        assert line(process) == "busy\n"

        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group

        process.wait(timeout=10)
        assert gone(process.pid, seconds=5)
    assert list(tmp_path.iterdir()) == []
