"""What the measurements in flight are at, in a few words for people who wait."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tuner.engines.base import RunningEngine

Words = str | Callable[[], str]


class Stage:
    """One measurement's word on itself."""

    def __init__(self) -> None:
        self.at: Words = "beginning"

    def words(self) -> str:
        """What it is at now."""
        return self.at if isinstance(self.at, str) else self.at()


class Doing:
    """The stages of all measurements in flight; used by their threads, and read by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: list[Stage] = []

    @contextmanager
    def one(self) -> Iterator[Stage]:
        """The stage of a measurement, for as long as it lasts."""
        stage = Stage()
        with self._lock:
            self._stages.append(stage)
        try:
            yield stage
        finally:
            with self._lock:
                self._stages.remove(stage)

    def words(self) -> str | None:
        """Such as `measuring`, or `2 measuring, 1 loading weights`; `None` when nothing goes on."""
        with self._lock:
            stages = list(self._stages)
        counts = Counter(stage.words() for stage in stages)
        if len(stages) < 2:
            return next(iter(counts), None)
        return ", ".join(f"{count} {words}" for words, count in sorted(counts.items()))


def start_of(running: RunningEngine) -> str:
    """How far the start of an engine has come: the phase that its log tells, where it tells one."""
    phase = running.facts().get("start_phase")
    return "starting the engine" if phase is None else f"starting the engine ({str(phase).replace('_', ' ')})"
