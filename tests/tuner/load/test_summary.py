from collections.abc import Sequence

import pytest

from tests.tuner.load.conftest import MakeRecord
from tuner.load.arrivals import Open
from tuner.load.columns import Columns
from tuner.load.plan import OUTPUT_RATE, Plan
from tuner.load.records import RequestRecord
from tuner.load.summary import Figures, summarise
from tuner.load.windows import Mark, Window
from tuner.metrics import METRICS

WINDOW = (Window(Mark(0.0), Mark(10.0)),)


def summed(records: Sequence[RequestRecord], plan: Plan, windows: Sequence[Window] = WINDOW) -> Figures:
    columns = Columns()
    for record in records:
        if record.is_whole:
            columns.add(record)
    return summarise(records, columns.served(), windows, plan, Open(1.0))


@pytest.fixture
def requests(record: MakeRecord) -> list[RequestRecord]:
    """Ten requests, one a second: the first token after 200 ms, four more every 100 ms."""
    return [record(start, [start + 0.2 + 0.1 * token for token in range(5)]) for start in range(10)]


def test_latencies_are_those_of_mlperf(requests: list[RequestRecord]) -> None:
    values = summed(requests, Plan()).values

    assert values["ttft_p50_ms"] == pytest.approx(200)
    assert values["tpot_mean_ms"] == pytest.approx(100)
    assert values["itl_p99_ms"] == pytest.approx(100)
    assert values["request_latency_p95_ms"] == pytest.approx(600)
    assert values["output_tokens_per_second_per_user"] == pytest.approx(10)


def test_latency_counts_from_the_scheduled_moment_not_from_the_send(record: MakeRecord) -> None:
    late = record(1.0, [3.0, 4.0], begun=2.5, sent=2.6)

    assert summed([late], Plan()).values["ttft_mean_ms"] == pytest.approx(2000)


def test_rates_count_what_ended_in_the_window(requests: list[RequestRecord]) -> None:
    values = summed(requests, Plan(gpus=2)).values

    assert values["requests_per_second"] == pytest.approx(1.0)
    assert values[OUTPUT_RATE] == pytest.approx(5.0)
    assert values["output_tokens_per_second_per_gpu"] == pytest.approx(2.5)


def test_what_ended_outside_the_window_does_not_count(requests: list[RequestRecord]) -> None:
    half = summed(requests, Plan(), (Window(Mark(0.0), Mark(5.0)),)).values

    assert half["requests_per_second"] == pytest.approx(1.0)


def test_goodput_counts_requests_that_meet_every_limit(record: MakeRecord) -> None:
    good, slow_start = record(1.0, [1.1, 1.2]), record(2.0, [3.5, 3.6])
    slow_tokens = record(3.0, [3.1, 4.1])
    plan = Plan(goodput_limits={"ttft_ms": 500, "tpot_ms": 200})
    values = summed([good, slow_start, slow_tokens], plan).values

    assert values["requests_per_second"] == pytest.approx(0.3)
    assert values["goodput_requests_per_second"] == pytest.approx(0.1)


def test_energy_is_the_meter_s_over_the_output_tokens(requests: list[RequestRecord]) -> None:
    windows = (Window(Mark(0.0, 100.0), Mark(5.0, 600.0)), Window(Mark(5.0, 600.0), Mark(10.0, 1100.0)))
    values = summed(requests, Plan(gpus=2), windows).values

    assert values["energy_joules_per_output_token"] == pytest.approx(1000 / 50)
    assert values["power_watts_per_gpu"] == pytest.approx(50)


@pytest.mark.parametrize("ends", [(None, 5.0), (5.0, None), (5.0, 1.0)])
def test_energy_is_absent_where_the_meter_does_not_know(
    requests: list[RequestRecord], ends: tuple[float | None, float | None]
) -> None:
    values = summed(requests, Plan(gpus=1), (Window(Mark(0.0, ends[0]), Mark(10.0, ends[1])),)).values

    assert "energy_joules_per_output_token" not in values
    assert "power_watts_per_gpu" not in values


def test_what_is_not_known_is_absent(record: MakeRecord) -> None:
    single = [record(start, [start + 0.1]) for start in range(9)]
    values = summed(single, Plan()).values

    absent = ("tpot_mean_ms", "itl_mean_ms", "output_tokens_per_second_per_user", "output_tokens_per_second_per_gpu")
    assert not any(key in values for key in absent)
    assert "goodput_requests_per_second" not in values


def test_itl_is_absent_where_chunks_hold_tokens_that_nobody_counts(record: MakeRecord) -> None:
    values = summed([record(0.0, [1.0, 2.0], output_tokens=20)], Plan()).values

    assert values["tpot_mean_ms"] == pytest.approx(1000 / 19)
    assert "itl_mean_ms" not in values


def test_keys_are_those_of_the_contract(requests: list[RequestRecord]) -> None:
    figures = summed(requests, Plan(gpus=1, goodput_limits={"ttft_ms": 1.0}))

    assert set(figures.values) - {OUTPUT_RATE} <= set(METRICS)
    assert set(figures.intervals) <= set(figures.values)
