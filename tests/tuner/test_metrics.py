"""The metrics are those of the public contract, and every objective is one of them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.metrics import METRICS, Direction, Kind, Objective, Provenance, weakest

CONTRACT = {
    "cost_usd_per_million_output_tokens",
    "cost_usd_per_million_tokens",
    "energy_joules_per_output_token",
    "power_watts_per_gpu",
    "output_tokens_per_second_per_gpu",
    "output_tokens_per_second_per_user",
    "requests_per_second",
    "goodput_requests_per_second",
    "gpu_memory_gib",
    "carbon_grams_per_million_output_tokens",
} | {
    f"{latency}_{statistic}_ms"
    for latency, statistic in itertools.product(
        ("ttft", "tpot", "itl", "request_latency"), ("mean", "p50", "p90", "p95", "p99")
    )
}


def test_the_metrics_are_those_of_the_contract() -> None:
    assert set(METRICS) == CONTRACT


def test_every_metric_says_what_it_is() -> None:
    assert all(metric.key == key and metric.unit and metric.meaning for key, metric in METRICS.items())


def test_only_throughput_is_better_when_higher() -> None:
    higher = {metric.kind for metric in METRICS.values() if metric.direction is Direction.MAXIMISE}

    assert higher == {Kind.THROUGHPUT}


@pytest.mark.parametrize("objective", Objective)
def test_an_objective_minimises_a_metric(objective: Objective) -> None:
    metric = METRICS[objective.metric]

    assert metric.direction is Direction.MINIMISE
    assert objective.is_latency == metric.key.endswith("_ms")


@given(st.lists(st.sampled_from(Provenance), min_size=1))
def test_the_weakest_part_decides_in_any_order(parts: list[Provenance]) -> None:
    order = [Provenance.MEASURED, Provenance.CALIBRATED, Provenance.SIMULATED, Provenance.MODELLED]

    assert weakest(*parts) == weakest(*reversed(parts)) == order[max(order.index(part) for part in parts)]
