"""Runs a command and measures it from outside: seconds, and the peak memory of its whole process tree."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.05
"""How often memory is read; a shorter peak may be missed."""
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True, slots=True)
class Timed:
    """One run: seconds from start to end, peak memory in MiB, and what it printed.

    The memory is the sum over the processes of the run's session of what each holds alone plus the largest shared
    part, so pages that processes share count once.
    """

    seconds: float
    peak_mib: float
    output: str


def timed(command: Sequence[str], environment: Mapping[str, str]) -> Timed:
    """Runs a command in a session of its own; raises `RuntimeError` with its output when it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    peak = [0.0]
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, over), daemon=True)
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    over.set()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} … exited with {process.returncode}:\n{output[-3000:]}")
    return Timed(seconds, peak[0], output)


def _watch(session: int, peak: list[float], over: threading.Event) -> None:
    while not over.wait(SAMPLE_SECONDS):
        peak[0] = max(peak[0], _tree_mib(session))


def _tree_mib(session: int) -> float:
    alone, shared = 0.0, 0.0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) != session:
                continue
            _, resident, common = (int(word) for word in (entry / "statm").read_text().split()[:3])
        except (OSError, ValueError, IndexError):
            continue  # it has ended
        alone += (resident - common) * _PAGE_MIB
        shared = max(shared, common * _PAGE_MIB)
    return alone + shared
