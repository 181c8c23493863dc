"""Signals and changes that must be put back: none cuts the putting back, none ends the process without it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
_DEFERRED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ending_orderly() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP unwind the program where they would end it at once; handlers of others stay.

    Python handles signals in its main thread alone: in another one this changes nothing, and whoever ends the process
    must wait for its threads.
    """
    if not _is_main_thread():
        yield
        return
    taken = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in taken:
            signal.signal(number, _unwind)
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def deferred() -> Iterator[None]:
    """A stretch that signals do not cut: the first that comes meanwhile is delivered at its end."""
    if not _is_main_thread():
        yield
        return
    caught: list[int] = []
    before = {number: signal.getsignal(number) for number in _DEFERRED}
    try:
        for number in _DEFERRED:
            signal.signal(number, lambda came, _frame: caught.append(came))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])


def _unwind(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
