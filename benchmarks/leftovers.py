"""Runs short trials one after the other on the real llama.cpp, and counts what they leave.

`python -m benchmarks.leftovers [--trials 100]`: each trial starts a server on a model of random weights, loads it for a
second, and stops it. Ends with 1 where anything is left over, or memory grows.
"""

import argparse
import contextlib
import ctypes
import gc
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from tests.tuner.engines.tiny_model import write_model
from tuner.configuration import Configuration
from tuner.engines.ports import PORTS
from tuner.engines.served import ledger_of
from tuner.evaluators.measure import opened
from tuner.evaluators.source import Workshop
from tuner.space.choice import choices_of
from tuner.spec import JobSpec, parse_spec

MOST_GROWTH_MIB: Final = 24.0
"""Growth of this process between the first tenth of the trials and the last that is no leak."""
_MARK: Final = "LEFTOVERS_MARK"
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Holdings:
    """What this process holds, and what it started and still lives (counts; memory in MiB)."""

    processes: int
    ports: int
    records: int
    temporary_files: int
    descriptors: int
    threads: int
    memory_mib: float


@dataclass(slots=True)
class Tally:
    """What the trials came to, and the holdings after the first tenth of them and after the last."""

    ended: Counter[str] = field(default_factory=Counter)
    early: Holdings | None = None
    late: Holdings | None = None
    seconds: float = 0.0

    def leftovers(self) -> list[str]:
        """What is left over, in words; empty when nothing is."""
        early, late = self.early, self.late
        assert early is not None
        assert late is not None
        held = ("processes", "ports", "records", "temporary_files")
        found = [f"{getattr(late, name)} {name}" for name in held if getattr(late, name)]
        grown = [(name, getattr(late, name) - getattr(early, name)) for name in ("descriptors", "threads")]
        found += [f"{growth} more {name}" for name, growth in grown if growth > 0]
        growth_mib = late.memory_mib - early.memory_mib
        return found + ([f"{growth_mib:.0f} MiB more memory"] if growth_mib > MOST_GROWTH_MIB else [])


def run_trials(trials: int, folder: Path) -> Tally:
    """Runs the trials in `folder`, each on a server of its own."""
    temporary, mark = folder / "temporary", uuid.uuid4().hex
    temporary.mkdir()
    workshop = Workshop(folder / "data", folder / "data" / "measurements" / "job")
    tally, began, before = Tally(), time.monotonic(), tempfile.tempdir
    os.environ[_MARK], tempfile.tempdir = mark, str(temporary)
    try:
        spec = _spec(write_model(folder / "tiny.gguf", width=256, layers=4))
        rows = choices_of(spec)
        for number in range(trials):
            tally.ended[_trial(spec, workshop, rows[number % len(rows)])] += 1
            if number == trials // 10:
                tally.early = _holdings(workshop.data_dir, temporary, mark)
        tally.late = _holdings(workshop.data_dir, temporary, mark)
    finally:
        tempfile.tempdir = before
        del os.environ[_MARK]
    tally.seconds = time.monotonic() - began
    return tally


def _trial(spec: JobSpec, workshop: Workshop, row: Configuration) -> str:
    with opened(spec, workshop) as (_, source):
        found = source.measure(row, 0, lambda: False)
    return "measured" if found.failure is None else found.failure.kind.value


def _spec(model: Path) -> JobSpec:
    return parse_spec(
        {
            "model": str(model),
            "engine": "llama.cpp",
            "hardware": {"gpu": "cpu", "gpus": 1},
            "workload": {"input_tokens": 32, "output_tokens": 16},
            "objectives": ["cost", "tpot"],
            "pricing": {"gpu_hour_usd": 0.05},
            "evaluator": "measure",
            "measuring": {"seconds": 1, "precision": 0.5, "repeats": 1},
            "space": {
                "weights": ["f16", "q8_0"],
                "kv_cache": ["f16"],
                "max_batch_size": [1, 2],
                "max_num_tokens": [64],
                "micro_batch": [64],
                "flash_attention": [True],
                "concurrency": [1],
            },
        }
    )


def _holdings(data_dir: Path, temporary: Path, mark: str) -> Holdings:
    _give_memory_back()
    me, started = psutil.Process(), _started(mark)
    listening = 0
    for process in (me, *started):
        with contextlib.suppress(psutil.Error):
            listening += sum(
                bool(one.laddr) and one.laddr[1] in PORTS
                for one in process.net_connections("tcp")
                if one.status == psutil.CONN_LISTEN
            )
    return Holdings(
        processes=len(started),
        ports=listening,
        records=len(ledger_of(data_dir).records()),
        temporary_files=len(list(temporary.rglob("*"))),
        descriptors=me.num_fds(),
        threads=me.num_threads(),
        memory_mib=me.memory_info().rss / _MIB,
    )


def _give_memory_back() -> None:
    """Frees what is free: glibc keeps the peak of a load for the next one, which is no leak."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _started(mark: str) -> list[psutil.Process]:
    """The living processes that carry the mark; this one got it too late to show it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(_MARK) == mark and process.pid != os.getpid():
                found.append(process)
    return found


def main() -> int:
    """Runs the trials and says what is left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=100)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory(prefix="leftovers-") as folder:
        tally = run_trials(trials, Path(folder))
    print(f"{trials} trials in {tally.seconds:.0f} s: {', '.join(f'{n} {kind}' for kind, n in tally.ended.items())}")
    print(f"after the first tenth: {tally.early}")
    print(f"after the last:        {tally.late}")
    left = tally.leftovers()
    print(f"left over: {', '.join(left) or 'nothing'}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
