import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from tuner.load.lateness import Lateness, LoopWatch, limit_of, with_missed

FINE = Lateness(0.4, 1.0, 2.0, 0.2, 0.5, 0.3)


def with_changes(**changes: float) -> Lateness:
    return replace(FINE, **changes)


def test_a_client_with_time_to_spare_is_no_limit() -> None:
    assert limit_of(FINE, 20.0, 100.0) is None


@pytest.mark.parametrize(
    ("lateness", "says"),
    [
        (with_changes(busy_share=0.95), "95%"),
        (with_changes(loop_lag_mean_ms=5.0), "lagged by 5.0 ms"),
        (with_changes(send_delay_p50_ms=40.0), "40 ms late"),
    ],
)
def test_a_client_that_was_the_limit_says_in_what(lateness: Lateness, says: str) -> None:
    assert says in (limit_of(lateness, 20.0, 100.0) or "")


def test_lag_is_held_against_the_time_of_a_token() -> None:
    assert limit_of(with_changes(loop_lag_mean_ms=5.0), 200.0, 1000.0) is None


def test_ticks_that_a_standstill_kept_from_being_asked_are_late_too() -> None:
    assert with_missed(np.array([0.001, 0.035])).tolist() == pytest.approx([0.001, 0.035, 0.025, 0.015, 0.005])
    assert with_missed(np.zeros(0)).tolist() == []


def test_a_loop_that_is_kept_busy_is_seen_to_be_late() -> None:
    async def kept_busy() -> Lateness:
        watch = LoopWatch()
        start = time.monotonic()
        watching = asyncio.create_task(watch.watch())
        for _ in range(10):
            await asyncio.sleep(0.001)
            time.sleep(0.03)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return watch.lateness(start, time.monotonic(), [0.001, 0.003])

    found = asyncio.run(kept_busy())

    assert found.loop_lag_mean_ms > 5
    assert found.send_delay_p50_ms == pytest.approx(2.0)
