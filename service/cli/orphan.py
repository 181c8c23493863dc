"""How a child process notices that its parent is gone, by whatever death, and ends with all that it started.

The parent holds the write end of a pipe that nobody else has; when it dies the kernel closes it.
"""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

GRACE_SECONDS: Final = 1.5
"""How long an orphan may take to end by itself."""
REMOVALS: Final = 20
"""How often the removal of the folder is tried."""


@contextmanager
def following(pipe: int, folder: Path | None) -> Iterator[None]:
    """Ends this process, and its whole process group, when the other end of `pipe` closes; then `folder` is removed.

    To be entered by the leader of a process group, before anything slow.
    """
    orphaned = threading.Event()
    try:
        signal.signal(signal.SIGTERM, _leave)
        threading.Thread(target=_follow, args=(pipe, folder, orphaned), name="orphan-watch", daemon=True).start()
        yield
    finally:
        if orphaned.is_set():
            _end_group(folder)


def _follow(pipe: int, folder: Path | None, orphaned: threading.Event) -> None:
    while os.read(pipe, 1):
        pass
    orphaned.set()
    os.killpg(os.getpgrp(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    _end_group(folder)


def _end_group(folder: Path | None) -> NoReturn:
    if folder is not None:
        _remove(folder)
    os.killpg(os.getpgrp(), signal.SIGKILL)
    sys.exit(1)


def _remove(folder: Path) -> None:
    """Removes the folder; again and again, for a sister process may still write into it."""
    for _ in range(REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(GRACE_SECONDS / REMOVALS)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)
