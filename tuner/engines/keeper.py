"""Runs a server as its child, and ends it with everything it started when the owner goes away or asks for it.

Started by file, with the standard library alone: `python -I -S keeper.py GRACE_SECONDS PROGRAM ARGUMENT…`. Standard
input is a pipe whose other end the owner holds: the kernel closes it when the owner dies, by whatever death. The
keeper ends as its child ended, so that its status is the server's. It leads a session of its own; processes that left
that session come back to it as orphans, because it is their subreaper (Linux).
"""

import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LOOK_SECONDS: Final = 1.0
_SETTLE_SECONDS: Final = 0.02
_NOT_STARTED: Final = 127
"""Status of a program that could not be started, as shells have it."""


def main() -> None:
    """Runs the program of the command line until it ends, or is to end."""
    grace_seconds, program = float(sys.argv[1]), sys.argv[2:]
    stopping: list[int] = []
    owner = os.getppid()
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    # handlers, not SIG_IGN: what is ignored stays ignored in the server
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda caught, _frame: stopping.append(caught))
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    child = _start(program)
    status = None
    while status is None and not stopping and not _is_orphaned(owner, woken):
        status = _reap(child)
    _signal(_others(), signal.SIGTERM)
    if status is None:
        status = _await(child, grace_seconds)
    _end_rest(grace_seconds)
    _end_as(status)


def _start(program: list[str]) -> int:
    keeper = os.getpid()

    def follow_keeper() -> None:
        _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(1)

    try:
        # the keeper has one thread, so a function between fork and exec is safe here
        started = subprocess.Popen(program, stdin=subprocess.DEVNULL, preexec_fn=follow_keeper)  # noqa: S603, PLW1509
    except OSError as error:
        print(f"paretune: cannot start {program[0]}: {error.strerror}", file=sys.stderr, flush=True)
        sys.exit(_NOT_STARTED)
    return started.pid


def _is_orphaned(owner: int, woken: int) -> bool:
    """Waits for news, a second at most; whether the owner is gone."""
    readable, _, _ = select.select([sys.stdin.fileno(), woken], [], [], _LOOK_SECONDS)
    if woken in readable:
        os.read(woken, 512)
    hung_up = sys.stdin.fileno() in readable and not os.read(sys.stdin.fileno(), 512)
    return hung_up or os.getppid() != owner


def _reap(child: int) -> int | None:
    """Buries every dead child; the status of `child` once it is among them."""
    status = None
    with suppress(ChildProcessError):
        while True:
            pid, ended = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                status = os.waitstatus_to_exitcode(ended)
    return status


def _await(child: int, seconds: float) -> int:
    """The status of `child`, killed when it takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = _reap(child)
        if status is not None:
            return status
        time.sleep(_SETTLE_SECONDS)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended)


def _end_rest(seconds: float) -> None:
    """Ends what the server left behind, which was asked already: killed after `seconds`."""
    deadline = time.monotonic() + seconds
    while _others() and time.monotonic() < deadline:
        _reap(-1)
        time.sleep(_SETTLE_SECONDS)
    while rest := _others():
        _signal(rest, signal.SIGKILL)
        _reap(-1)
        time.sleep(_SETTLE_SECONDS)


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _others() -> set[int]:
    """The living descendants of the keeper, and the living members of its process group."""
    keeper = os.getpid()
    table = _process_table()
    return {pid for pid, (_, group) in table.items() if group == keeper or _descends(pid, keeper, table)} - {keeper}


def _descends(pid: int, ancestor: int, table: dict[int, tuple[int, int]]) -> bool:
    while pid in table and pid != ancestor:
        pid = table[pid][0]
    return pid == ancestor


def _process_table() -> dict[int, tuple[int, int]]:
    """Parent and process group of every living process (`proc(5)`, or POSIX `ps` where there is no `/proc`)."""
    table = {}
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-axo", "pid=,ppid=,pgid=,stat="], capture_output=True, text=True, check=True)  # noqa: S607
        rows = [line.split() for line in listed.stdout.splitlines()]
        return {int(pid): (int(parent), int(group)) for pid, parent, group, state in rows if state[0] not in "ZX"}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, parent, group = entry.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if state not in "ZX":
                table[int(entry.parent.name)] = (int(parent), int(group))
    return table


def _control(option: int, value: int) -> None:
    """Asks the kernel for a behaviour of this process; other systems than Linux do without (`prctl(2)`)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _end_as(status: int) -> NoReturn:
    """Ends this process as the server ended: with its status, or by its signal."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(max(status, 0))


if __name__ == "__main__":
    main()
