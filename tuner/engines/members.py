"""The processes of one run, wherever they went, and their end."""

import contextlib
from typing import Final

import psutil

from tuner.engines.environment import RUN_VARIABLE
from tuner.engines.hang import Work
from tuner.identity import Identity, is_alive

_KILL_SECONDS: Final = 5.0


def members(run: str, keeper: Identity | None) -> list[psutil.Process]:
    """The living processes of a run: the keeper with its descendants, and all whose environment carries the run.

    A process that left the keeper's session keeps its environment. Processes of other users show theirs to root alone.
    """
    found = {process.pid: process for process in _tree(keeper)}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid not in found and process.environ().get(RUN_VARIABLE) == run:
                found[process.pid] = process
    return [process for process in found.values() if _lives(process)]


def end_members(run: str, keeper: Identity | None, grace_seconds: float) -> list[int]:
    """Ends every process of a run: asked first, killed after `grace_seconds`; the numbers of those that remain.

    A process remains only where the kernel cannot end it (it waits for a device) or where it is another user's.
    """
    asked = members(run, keeper)
    for process in asked:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    psutil.wait_procs(asked, timeout=grace_seconds)
    while rest := members(run, keeper):
        for process in rest:
            with contextlib.suppress(psutil.Error):
                process.kill()
        _, alive = psutil.wait_procs(rest, timeout=_KILL_SECONDS)
        stuck = [process.pid for process in alive if _lives(process)]
        if stuck:
            return stuck
    return []


def work_of(pid: int) -> Work:
    """What a process and its living descendants have done so far; what has ended is not counted."""
    try:
        keeper = psutil.Process(pid)
        tree = [keeper, *keeper.children(recursive=True)]
    except psutil.Error:
        return Work()
    cpu_seconds, storage_bytes = 0.0, 0
    for process in tree:
        with contextlib.suppress(psutil.Error, AttributeError):
            times = process.cpu_times()
            cpu_seconds += times.user + times.system
            # not on macOS
            moved = process.io_counters()
            storage_bytes += moved.read_bytes + moved.write_bytes
    return Work(cpu_seconds, storage_bytes)


def tree_pids(pid: int) -> set[int]:
    """A process and its living descendants, by number."""
    with contextlib.suppress(psutil.Error):
        return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
    return {pid}


def _tree(keeper: Identity | None) -> list[psutil.Process]:
    if keeper is None or not is_alive(keeper):
        return []
    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(keeper.pid)
        return [leader, *leader.children(recursive=True)]
    return []


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    return False
