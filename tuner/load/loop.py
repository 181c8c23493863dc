"""An event loop that knows when it was woken, so that tokens that came together are noted at one time."""

import asyncio
import selectors
import time
from collections.abc import Callable


class StampingSelector(selectors.DefaultSelector):
    """Keeps the moment at which it last returned: everything that it returned was there by then.

    A step of an engine writes to hundreds of streams at once, and reading one takes some 40 µs: by the clock the last
    of 256 would seem to come 10 ms late.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._woken = clock()

    def woken(self) -> float:
        """When it last returned, in seconds of its clock."""
        return self._woken

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Waits for what is ready."""
        found = super().select(timeout)
        self._woken = self._clock()
        return found


def stamping_loop(selector: StampingSelector) -> asyncio.AbstractEventLoop:
    """A loop on this selector."""
    return asyncio.SelectorEventLoop(selector)
