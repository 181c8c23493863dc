"""What a load needs of this process: connections enough, and no long pauses of the garbage collector."""

import gc
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tuner.load.errors import LoadError

SPARE_FILES: Final = 128
"""Files that the process has open beside its connections."""


def allow_connections(count: int) -> None:
    """Raises this process's own limit of open files as far as needed; raises `LoadError` where the system forbids it."""
    needed = count + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise LoadError(f"{count} connections need {needed} open files and {hard} are allowed; raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@contextmanager
def short_collections() -> Iterator[None]:
    """A stretch in which the collector passes over everything that was there before: kernel tables take it 100 ms."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
