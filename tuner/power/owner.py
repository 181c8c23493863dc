"""Who changed the power of a GPU: a process, told from a later one with the same number."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psutil

_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: the machine or container whose numbers count, its number, and when it started (an opaque text)."""

    machine: str
    pid: int
    started: str

    @classmethod
    def me(cls) -> Self:
        """This process."""
        return cls(_this_machine(), os.getpid(), _started(os.getpid()) or "unknown")

    def is_gone(self) -> bool:
        """Whether it is known to have ended; unknown, and so `False`, for one of another machine or container."""
        return self.machine == _this_machine() and _started(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} of {self.machine.partition(' ')[0]}"


def _this_machine() -> str:
    with suppress(OSError):
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def _started(pid: int) -> str | None:
    """When a living process started: the boot, and ticks since then (`proc(5)`, field 22), which no set clock changes."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if not (_PROC / "self" / "stat").exists():
            return repr(process.create_time())
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        # the program's name stands in brackets and may hold blanks and brackets itself
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None
    return f"{boot}:{fields[19]}"
