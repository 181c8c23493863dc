from collections.abc import Sequence

import numpy as np
import pytest

from tests.tuner.load.conftest import MakeRecord
from tuner.load.arrivals import Arrivals, Closed, Open
from tuner.load.columns import Columns
from tuner.load.plan import OUTPUT_RATE, Plan
from tuner.load.steady import falls_behind, transient_windows, widest

OPEN = Open(1.0)


@pytest.mark.parametrize(
    ("rates", "dropped"),
    [
        ([100.0] * 8, 0),
        ([50.0] + [100.0] * 7, 1),
        ([20.0, 60.0] + [100.0] * 7, 2),
        ([98.0] + [100.0] * 7, 0),
        ([50.0] + [100.0] * 3, 0),
        ([60.0, 100.0, 50.0, 130.0, 80.0, 60.0, 110.0], 0),
    ],
)
def test_windows_that_still_belonged_to_the_warm_up_are_left_out(rates: Sequence[float], dropped: int) -> None:
    assert transient_windows(rates) == dropped


@pytest.mark.parametrize(
    ("arrivals", "delay", "kept_up"), [(Open(10.0), 0.5, True), (Open(10.0), 30.0, False), (Closed(4), 30.0, True)]
)
def test_an_engine_falls_behind_where_far_more_arrives_than_ends(
    record: MakeRecord, arrivals: Arrivals, delay: float, kept_up: bool
) -> None:
    records = [record(at, [at + delay]) for at in np.arange(0.0, 40.0, 0.1)]

    assert (falls_behind(records, arrivals, 10.0, 30.0) is None) is kept_up


def test_a_few_arrivals_prove_nothing(record: MakeRecord) -> None:
    assert falls_behind([record(11.0, [99.0])] * 10, Open(1.0), 10.0, 20.0) is None


def served(record: MakeRecord, count: int) -> Columns:
    columns = Columns()
    for start in np.linspace(0.0, 20.0 - 0.3, count):
        columns.add(record(start, [start + 0.1, start + 0.2, start + 0.3]))
    return columns


def test_the_widest_interval_decides(record: MakeRecord) -> None:
    columns = served(record, 200)
    width = widest(columns.served(), [], 0.0, 20.0, Plan(wanted=("ttft_mean_ms", "tpot_mean_ms", OUTPUT_RATE)), OPEN)
    narrow = widest(columns.served(), [], 0.0, 20.0, Plan(wanted=("tpot_mean_ms",)), OPEN)

    assert narrow == pytest.approx(0.0, abs=1e-6)
    assert width is not None
    assert 1e-4 < width < 0.1


def test_too_few_requests_decide_nothing(record: MakeRecord) -> None:
    assert widest(served(record, 3).served(), [], 0.0, 20.0, Plan(wanted=("tpot_mean_ms",)), OPEN) is None


def test_a_metric_that_this_load_cannot_have_does_not_hold_it(record: MakeRecord) -> None:
    columns = Columns()
    for start in range(10):
        columns.add(record(start, [start + 0.1]))

    assert widest(columns.served(), [], 0.0, 20.0, Plan(wanted=("tpot_mean_ms",)), OPEN) == 0.0
