"""Waiting for evaluations: results, errors, and cancellation within a second."""

import threading
import time
from concurrent.futures import Future

import pytest

from tuner.search.waiting import CancelledStudyError, result_of


def test_a_result_that_comes_later_is_waited_for() -> None:
    future: Future[int] = Future()
    threading.Timer(0.3, future.set_result, [7]).start()

    assert result_of(future, lambda: False) == 7


@pytest.mark.parametrize("error", [ValueError("ours"), TimeoutError("the evaluation's own")], ids=str)
def test_an_error_of_the_evaluation_is_raised(error: Exception) -> None:
    future: Future[int] = Future()
    future.set_exception(error)

    with pytest.raises(type(error), match=str(error)):
        result_of(future, lambda: False)


def test_a_cancellation_ends_the_wait_within_a_second() -> None:
    future: Future[int] = Future()
    started = time.monotonic()

    with pytest.raises(CancelledStudyError):
        result_of(future, lambda: time.monotonic() - started > 0.3)

    assert time.monotonic() - started < 1.0
    assert future.cancelled()
