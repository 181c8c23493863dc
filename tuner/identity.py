"""Tells one process from another that got its number later, and one machine's numbers from another's."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Identity:
    """A process: its number, and when it started (an opaque text that no later process with this number has)."""

    pid: int
    started: str


def identity_of(pid: int) -> Identity | None:
    """The identity of a process that lives now; `None` when there is none, or only a dead one nobody has reaped.

    On Linux the start is counted in ticks since boot, so that a set clock does not change it (`proc(5)`, field 22).
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return Identity(pid, _ticks(pid) or repr(process.create_time()))
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


def is_alive(identity: Identity) -> bool:
    """Whether this very process still lives."""
    return identity_of(identity.pid) == identity


def this_machine() -> str:
    """The machine or container, as far as process numbers go: its host name and its process namespace."""
    with suppress(OSError):
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def _ticks(pid: int) -> str | None:
    if not (_PROC / "self" / "stat").exists():
        return None
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    # the program's name stands in brackets and may hold blanks and brackets itself
    fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return f"{boot}:{fields[19]}"
