"""What the budgets of a measuring run leave, for those who wait."""

import pytest

from tuner.configuration import Configuration
from tuner.evaluators.source import Expected
from tuner.search.staged.account import Account
from tuner.search.staged.prices import Timing
from tuner.search.staged.stopping import Limits
from tuner.trial import Measurement

ROW = Configuration("llama.cpp", "cpu")


def account(now: list[float], **limits: float) -> Account:
    return Account(Limits(**limits), Timing.of(Expected(10, 50)), lambda: now[0])  # type: ignore[arg-type]


def test_minutes_pass_from_the_first_measurement_on() -> None:
    now = [100.0]
    books = account(now, minutes=4)
    assert books.seconds_left() == 240

    books.begin(0, ROW)
    now[0] += 90
    assert books.seconds_left() == 150

    now[0] += 900
    assert books.seconds_left() == 0


def test_gpu_hours_last_as_long_as_they_went_so_far() -> None:
    now = [0.0]
    books = account(now, minutes=600, gpu_hours=1)
    books.begin(0, ROW)
    now[0] += 720
    books.end(0, ROW, Measurement({}, {}, details={"start_seconds": 120.0, "window_seconds": 600.0}))

    assert books.seconds_left() == pytest.approx(4 * 720)


def test_without_such_a_budget_or_a_clock_nothing_bounds_the_time() -> None:
    assert account([0.0], trials=10).seconds_left() is None
    assert Account(Limits(minutes=4), Timing.of(Expected(10, 50))).seconds_left() is None
