"""Waiting for evaluations without missing a cancellation."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

Result = TypeVar("Result")

POLL_SECONDS: Final = 0.2
"""How often a waiting study asks whether it was cancelled."""


class CancelledStudyError(Exception):
    """The listener asked the study to stop; not a failure."""


def result_of(future: "Future[Result]", cancelled: Callable[[], bool]) -> Result:
    """The result of an evaluation; raises `CancelledStudyError` as soon as the study is cancelled meanwhile."""
    while True:
        if cancelled():
            future.cancel()
            raise CancelledStudyError
        try:
            return future.result(timeout=POLL_SECONDS)
        except TimeoutError:
            if future.done():
                raise
