"""Ctrl-C and its like: one exception that nothing catches by accident, and short stretches that it must not cut."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The user, or the system, asked the command to end."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


def become_interruptible() -> None:
    """From now on the first of these signals raises `Interrupted` in the main thread; later ones change nothing more."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


@contextmanager
def shielded() -> Iterator[None]:
    """A stretch that signals do not cut: one that comes meanwhile is delivered at the end."""
    caught: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        caught.append(number)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield
    finally:
        _restore(before)
    if caught:
        signal.raise_signal(caught[0])


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    for ended_by in SIGNALS:
        signal.signal(ended_by, signal.SIG_IGN)
    raise Interrupted(number)


def _restore(before: "dict[signal.Signals, signal._HANDLER]") -> None:
    for number, handler in before.items():
        signal.signal(number, handler)
