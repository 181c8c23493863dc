"""Runs a command and measures it from outside: seconds, processor seconds and peak memory of its whole process tree."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.05
"""How often the tree is read; a shorter peak, and the last moments of a process, may be missed."""
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Timed:
    """One run: seconds from start to end, processor seconds, peak memory in MiB, and what it printed.

    The memory is what each process of the tree holds without its shared files, plus the largest of those shared parts.
    Pages that a forked child still shares with its parent count for both, so the figure is an upper bound.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float
    output: str


def timed(command: Sequence[str], environment: Mapping[str, str]) -> Timed:
    """Runs a command to its end; raises `RuntimeError` with its output when it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    watch = _Watch(process.pid)
    watch.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    watch.over.set()
    watch.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} … exited with {process.returncode}:\n{output[-3000:]}")
    return Timed(seconds, sum(watch.cpu_seconds.values()), watch.peak_mib, output)


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    cpu_seconds: float
    own_mib: float
    shared_mib: float


class _Watch(threading.Thread):
    """Reads a process tree until told that it is over."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.peak_mib = 0.0
        self.cpu_seconds: dict[int, float] = {}
        self._root = root

    def run(self) -> None:
        """Keeps the peak of the memory, and the last processor time seen of every process."""
        while not self.over.wait(SAMPLE_SECONDS):
            processes = _processes()
            tree = {number: one for number, one in processes.items() if self._descends(number, processes)}
            self.cpu_seconds |= {number: one.cpu_seconds for number, one in tree.items()}
            own = sum(one.own_mib for one in tree.values())
            self.peak_mib = max(self.peak_mib, own + max((one.shared_mib for one in tree.values()), default=0.0))

    def _descends(self, number: int, processes: Mapping[int, _Process]) -> bool:
        while number in processes and number != self._root:
            number = processes[number].parent
        return number == self._root


def _processes() -> dict[int, _Process]:
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            _, resident, shared = (int(word) for word in (entry / "statm").read_text().split()[:3])
        except (OSError, ValueError):
            continue  # it has ended
        ticks = int(fields[11]) + int(fields[12])
        own = (resident - shared) * _PAGE_MIB
        found[int(entry.name)] = _Process(int(fields[1]), ticks / _TICKS, own, shared * _PAGE_MIB)
    return found
