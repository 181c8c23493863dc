"""Does something again and again in a thread of its own, for as long as its block lasts."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Ticker:
    """Calls `tick` every `period_seconds`; `tick` must not raise."""

    def __init__(self, tick: Callable[[], None], period_seconds: float) -> None:
        self._tick = tick
        self._period_seconds = period_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="paretune-power", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        self._tick()
        while not self._stop.wait(self._period_seconds):
            self._tick()
