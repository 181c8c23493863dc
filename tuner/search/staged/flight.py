"""Measurements in flight: each in a thread of its own, handed back as they end."""

import math
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Final, Self

from tuner.configuration import Configuration
from tuner.evaluators.source import MeasurementSource
from tuner.search.waiting import POLL_SECONDS, CancelledStudyError
from tuner.trial import Measurement

_TELL_SECONDS: Final = 1.0


def _nobody(words: str | None) -> None:
    """Nobody listens."""


class Flight:
    """Runs the measurements of one study; leaving it waits until every one has given its engine back.

    A measurement in flight hears of the cancellation, and of the flight's end, by the source's own polling.
    """

    def __init__(
        self, source: MeasurementSource, cancelled: Callable[[], bool], tell: Callable[[str | None], None] = _nobody
    ) -> None:
        """`tell` hears each second what the measurements are at."""
        self._source, self._cancelled, self._tell = source, cancelled, tell
        self._told_at = -math.inf
        self._over = False
        self._futures: dict[Future[Measurement], tuple[int, Configuration]] = {}
        self._threads = ThreadPoolExecutor(max(source.slots, 1), thread_name_prefix="measuring")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._threads.shutdown(wait=True, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._futures)

    @property
    def has_room(self) -> bool:
        """Whether another measurement may begin."""
        return self._source.has_room([configuration for _, configuration in self._futures.values()])

    def begin(self, ticket: int, configuration: Configuration, repeat: int) -> None:
        """Begins a measurement."""
        future = self._threads.submit(self._source.measure, configuration, repeat, self._stopped)
        self._futures[future] = ticket, configuration

    def ended(self) -> list[tuple[int, Measurement]]:
        """The measurements that have ended, at least one, by ticket.

        Raises `CancelledStudyError` when the study is cancelled, and what a measurement raised.
        """
        while True:
            if self._cancelled():
                raise CancelledStudyError
            self._tell_now_and_then()
            done, _ = wait(self._futures, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            # asked again: what a cancelled measurement gives back says nothing of its configuration
            if done and not self._cancelled():
                found = [(self._futures.pop(future)[0], future.result()) for future in done]
                return sorted(found, key=lambda item: item[0])

    def _tell_now_and_then(self) -> None:
        if time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._told_at = time.monotonic()
            self._tell(self._source.doing())

    def _stopped(self) -> bool:
        return self._over or self._cancelled()
