"""Child processes that end when their owner does."""

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


def follow_parent() -> None:
    """Ends this process when its owner dies, even by a kill that runs no clean-up; to be called in a child."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
