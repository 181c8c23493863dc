"""`paretune tune` on a real engine: measured whole, and never measured twice, however it is stopped."""

import csv
import json
import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import yaml

from tests.tuner.engines.tiny_model import write_model
from tuner.engines.served import ledger_of
from tuner.spec_file import load_spec

if TYPE_CHECKING:
    import subprocess

    from tests.e2e.conftest import Sandbox

EXAMPLE = Path(__file__).parents[2] / "examples" / "smollm2-cpu.yaml"
PATIENCE_SECONDS = 240.0
"""For a machine that does much else."""


@pytest.fixture
def spec(sandbox: "Sandbox") -> str:
    """The example for laptops, cut down to a model of random weights, short loads and three trials.

    The fourth measurement is the reference configuration's second one.
    """
    write_model(sandbox.folder / "tiny.gguf", width=512, layers=8)
    cut = yaml.safe_load(EXAMPLE.read_text()) | {
        "model": "./tiny.gguf",
        "workload": {"input_tokens": 32, "output_tokens": 16},
        "budget": {"trials": 4},
        "measuring": {"seconds": 2, "precision": 0.5, "repeats": 1},
    }
    cut["space"] |= {"weights": ["f16", "q8_0"], "max_batch_size": [1, 2, 4], "concurrency": [1]}
    return sandbox.write("job.yaml", yaml.safe_dump(cut))


def test_the_example_for_laptops_is_a_valid_job_that_starts_an_engine() -> None:
    assert load_spec(EXAMPLE).starts_engines


def test_a_real_engine_is_measured_from_the_spec_to_the_files(sandbox: "Sandbox", spec: str) -> None:
    out = sandbox.folder / "out"

    ended = _ended(sandbox.start("tune", spec, "--out", str(out)))

    assert ended[0] == 0, ended[1]
    result = json.loads((out / "result.json").read_text())
    assert result["search"]["evaluated"] == 3
    assert result["frontier"]
    for point in result["frontier"]:
        assert point["provenance"]["tpot_mean_ms"] == "measured"
        assert point["metrics"]["cost_usd_per_million_output_tokens"] > 0
    for name in result["recommendations"]:
        assert (out / "recommendations" / name / "trial.json").exists()
    assert len(_numbers(out / "trials.csv")) == result["search"]["evaluated"]
    _leaves_nothing_running(sandbox)
    kept = sandbox.folder / "data"
    assert [path.name for path in (kept / "tune").glob("*.json")] == []
    assert _trials(sandbox) == {}
    assert list((kept / "artefacts" / "llama.cpp").glob("*.gguf"))
    assert list((kept / "measurements").glob("*/*/engine.log"))


def _kill_worker(process: "subprocess.Popen[str]") -> None:
    os.kill(_worker_of(process), signal.SIGKILL)


def _kill_command(process: "subprocess.Popen[str]") -> None:
    process.kill()


def test_runs_that_are_killed_lose_no_trial_that_had_ended(sandbox: "Sandbox", spec: str) -> None:
    """One test for two deaths and a good end: each run goes on where the one before died."""
    known: dict[int, str] = {}
    for stop in (_kill_worker, _kill_command):
        process = sandbox.start("tune", spec)
        _await_trial(sandbox, process, more_than=len(known))

        before = _trials(sandbox)
        stop(process)
        code, err = _ended(process)

        assert code != 0
        assert "Traceback" not in err
        assert _said_to_go_on_after(err) == (len(known) or None)
        _leaves_nothing_running(sandbox, seconds=15)
        known = _trials(sandbox)
        assert known.items() >= before.items()

    out = sandbox.folder / "out"
    code, err = _ended(sandbox.start("tune", spec, "--out", str(out)))

    assert code == 0, err
    assert _said_to_go_on_after(err) == len(known)
    with (out / "trials.csv").open(newline="") as file:
        rows = {int(row["number"]): row["tpot_mean_ms"] for row in csv.DictReader(file)}
    assert sorted(rows) == list(range(3))
    # but for the reference configuration, which is measured once more at the end
    assert {number: rows[number] for number in known if number} == {n: tpot for n, tpot in known.items() if n}
    _leaves_nothing_running(sandbox)


def test_a_job_is_run_once_at_a_time_and_ctrl_c_ends_its_engine_too(sandbox: "Sandbox", spec: str) -> None:
    first = sandbox.start("tune", spec)
    _await(lambda: _has_engine(sandbox), first)

    code, err = _ended(sandbox.start("tune", spec))

    assert code == 1
    assert f"is being tuned already, by process {first.pid}" in err
    first.send_signal(signal.SIGINT)
    code, err = _ended(first)
    assert code == 1
    assert "the same command goes on after the trials that have ended" in err
    assert err.splitlines()[-1] == "paretune: interrupted; everything that was started is stopped"
    assert sandbox.gone(0)
    assert ledger_of(sandbox.folder / "data").records() == []


def _ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """The exit code and what was said on standard error."""
    with process:
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, err


def _await(holds: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _await_trial(sandbox: "Sandbox", process: "subprocess.Popen[str]", more_than: int) -> None:
    """Waits until a trial has ended and the engine of the next is up."""
    _await(lambda: len(_trials(sandbox)) > more_than and _has_engine(sandbox), process)


def _trials(sandbox: "Sandbox") -> dict[int, str]:
    """TPOT of the trials that have ended, as the tables write it, by number."""
    path = sandbox.folder / "data" / "tune" / "paretune.db"
    if not path.exists():
        return {}
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        try:
            found = database.execute("SELECT number, metrics FROM trials WHERE state != 'running'").fetchall()
        except sqlite3.OperationalError:  # the schema is being made
            return {}
    return {number: str(json.loads(metrics).get("tpot_mean_ms", "")) for number, metrics in found}


def _has_engine(sandbox: "Sandbox") -> bool:
    return bool(ledger_of(sandbox.folder / "data").records())


def _worker_of(process: "subprocess.Popen[str]") -> int:
    return next(child.pid for child in psutil.Process(process.pid).children() if "worker" in child.cmdline())


def _said_to_go_on_after(err: str) -> int | None:
    found = re.search(r"going on after (\d+) trials measured since \S+ \S+ UTC; --fresh starts anew", err)
    return int(found[1]) if found else None


def _leaves_nothing_running(sandbox: "Sandbox", seconds: float = 1.0) -> None:
    """No process, no temporary file; a record alone may wait for the next start's sweep."""
    assert sandbox.gone(seconds), [psutil.Process(pid).cmdline() for pid in sandbox.processes()]


def _numbers(table: Path) -> list[int]:
    with table.open(newline="") as file:
        return [int(row["number"]) for row in csv.DictReader(file)]
