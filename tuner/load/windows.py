"""Windows of a load on the monotonic clock, and the energy that a meter saw in them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


class Meter(Protocol):
    """A counter of energy."""

    def read(self) -> float | None:
        """Joules since some moment in the past; `None` when they are not known. May take some milliseconds."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of the monotonic clock in seconds, and what the meter read then."""

    moment: float
    joules: float | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """From one mark to another."""

    start: Mark
    end: Mark

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end.moment - self.start.moment

    @property
    def joules(self) -> float | None:
        """Energy used in it; `None` where either end is unknown, or the counter went backwards (it began anew)."""
        if self.start.joules is None or self.end.joules is None or self.end.joules < self.start.joules:
            return None
        return self.end.joules - self.start.joules


def joined(windows: Sequence[Window]) -> Window:
    """The one window that adjoining windows make."""
    return Window(windows[0].start, windows[-1].end)


async def take_mark(meter: Meter | None, clock: Callable[[], float]) -> Mark:
    """A mark at this moment; the meter is read in a thread, so that it keeps no token waiting, and its moment counts."""
    if meter is None:
        return Mark(clock())
    return await asyncio.get_running_loop().run_in_executor(None, _read, meter, clock)


def _read(meter: Meter, clock: Callable[[], float]) -> Mark:
    before = clock()
    joules = meter.read()
    return Mark((before + clock()) / 2, joules)
