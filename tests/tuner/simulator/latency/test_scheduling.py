"""Invariants of the scheduling simulation (given an engine with simple step times)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.simulator.latency.arrivals import Lengths, Traffic, closed_loop, poisson, trace
from tuner.simulator.latency.limits import EngineLimits, HostOverhead
from tuner.simulator.latency.scheduling import simulate
from tuner.simulator.latency.summary import summarise


@dataclass(frozen=True)
class PlainClock:
    """5 ms + 0.05 ms a request a step, 0.02 ms a prompt token."""

    def decode(self, requests: int, mean_length: float) -> float:
        return 5.0 + 0.05 * requests

    def mixed(self, context_tokens: int, requests: int, mean_length: float, prefix_work: float = 0.0) -> float:
        return self.decode(requests, mean_length) + 0.02 * context_tokens


CLOCK = PlainClock()

traffics = st.builds(
    lambda users, rounds, prompt, output, seed: closed_loop(
        users, users * rounds, Lengths(prompt, "uniform", 0.5), Lengths(output, "uniform", 0.5), seed
    ),
    st.integers(1, 24),
    st.integers(1, 5),
    st.integers(2, 600),
    st.integers(1, 120),
    st.integers(0, 9),
)
all_limits = st.builds(
    EngineLimits,
    max_batch_size=st.integers(1, 32),
    max_num_tokens=st.integers(700, 3000),
    chunked_prefill=st.booleans(),
    kv_tokens=st.one_of(st.none(), st.integers(800, 6000)),
    policy=st.sampled_from(["GUARANTEED_NO_EVICT", "MAX_UTILIZATION"]),
    ranks=st.integers(1, 4),
    balance_wait_steps=st.sampled_from([0, 20]),
    host=st.builds(HostOverhead, intake_ms=st.sampled_from([0.0, 12.0]), serial_ms=st.sampled_from([0.0, 3.0])),
)


@settings(max_examples=150, deadline=None)
@given(traffics, all_limits)
def test_no_request_is_lost_and_none_is_faster_than_its_prefill(traffic: Traffic, limits: EngineLimits) -> None:
    timeline = simulate(CLOCK, limits, traffic)
    served = np.isfinite(timeline.end_ms)
    assert int(served.sum()) + len(timeline.unserved) == len(traffic)
    least = 0.02 * traffic.input_tokens + limits.host.intake_ms + limits.host.serial_ms
    assert (timeline.ttft_ms[served] >= least[served] - 1e-6).all()
    assert (timeline.end_ms[served] >= timeline.first_token_ms[served]).all()


@settings(max_examples=150, deadline=None)
@given(traffics, all_limits)
def test_kv_cache_and_batch_stay_within_their_limits(traffic: Traffic, limits: EngineLimits) -> None:
    timeline = simulate(CLOCK, limits, traffic)
    assert timeline.peak_requests <= limits.max_batch_size
    if limits.kv_tokens is not None:
        assert timeline.peak_kv_tokens <= limits.kv_tokens
    if limits.policy == "GUARANTEED_NO_EVICT":
        assert timeline.evictions == 0


@settings(max_examples=100, deadline=None)
@given(traffics, all_limits)
def test_throughput_stays_below_batch_over_step_time(traffic: Traffic, limits: EngineLimits) -> None:
    timeline = simulate(CLOCK, limits, traffic)
    served = np.isfinite(timeline.end_ms)
    if not served.any():
        return
    tokens = float(timeline.output_tokens[served].sum())
    shortest_step_ms = CLOCK.decode(0, 0.0)
    most = limits.max_batch_size * limits.ranks / shortest_step_ms
    assert tokens / float(timeline.end_ms[served].max()) <= most + 1e-9


@settings(max_examples=40, deadline=None)
@given(traffics, all_limits)
def test_the_same_traffic_gives_the_same_figures(traffic: Traffic, limits: EngineLimits) -> None:
    one, two = simulate(CLOCK, limits, traffic), simulate(CLOCK, limits, traffic)
    assert np.array_equal(one.end_ms, two.end_ms, equal_nan=True)
    assert np.array_equal(one.first_token_ms, two.first_token_ms, equal_nan=True)


def test_the_same_seed_gives_the_same_traffic() -> None:
    lengths = Lengths(900, "normal", 100)
    one, two = poisson(3.0, 50, lengths, lengths, seed=4), poisson(3.0, 50, lengths, lengths, seed=4)
    assert np.array_equal(one.sent_ms, two.sent_ms)
    assert np.array_equal(one.input_tokens, two.input_tokens)


@pytest.mark.parametrize("chunked", [True, False])
def test_equal_requests_get_their_first_token_in_the_order_they_were_sent(chunked: bool) -> None:
    traffic = closed_loop(16, 160, Lengths(500), Lengths(40), seed=0)
    timeline = simulate(CLOCK, EngineLimits(16, 1100, chunked_prefill=chunked), traffic)
    assert (np.diff(timeline.first_token_ms[np.argsort(timeline.sent_ms, kind="stable")]) >= -1e-9).all()


def test_a_lone_request_takes_its_prefill_and_its_decode_steps() -> None:
    timeline = simulate(CLOCK, EngineLimits(4, 8192), trace([(0.0, 1000, 11)]))
    assert timeline.ttft_ms[0] == pytest.approx(25.0)
    assert timeline.tpot_ms[0] == pytest.approx(5.05)


def test_eviction_lets_more_in_and_pays_with_recomputation() -> None:
    traffic = closed_loop(12, 60, Lengths(200), Lengths(400), seed=0)
    careful = simulate(CLOCK, EngineLimits(12, 4096, kv_tokens=3000), traffic)
    greedy = simulate(CLOCK, EngineLimits(12, 4096, kv_tokens=3000, policy="MAX_UTILIZATION"), traffic)
    assert greedy.evictions > 0
    assert np.median(greedy.ttft_ms) < np.median(careful.ttft_ms)


def test_an_offered_rate_beyond_the_engine_is_told() -> None:
    limits = EngineLimits(8, 4096)
    slow = summarise(simulate(CLOCK, limits, poisson(0.5, 400, Lengths(500), Lengths(100), 0)), concurrency=None)
    fast = summarise(simulate(CLOCK, limits, poisson(200.0, 400, Lengths(500), Lengths(100), 0)), concurrency=None)
    assert slow.overload is None
    assert fast.overload is not None
    assert "queue" in fast.overload


def test_goodput_counts_only_requests_within_every_limit() -> None:
    timeline = simulate(CLOCK, EngineLimits(8, 4096), closed_loop(8, 80, Lengths(500), Lengths(100), 0))
    told = summarise(timeline, concurrency=8, limits={"ttft_ms": 1e9, "tpot_ms": 1e9}).metrics
    none = summarise(timeline, concurrency=8, limits={"ttft_ms": 0.001}).metrics
    assert told["goodput_requests_per_second"] == pytest.approx(told["requests_per_second"])
    assert none["goodput_requests_per_second"] == 0.0
    with pytest.raises(ValueError, match="goodput"):
        summarise(timeline, concurrency=8, limits={"itl_ms": 1.0})


def test_a_broken_trace_names_its_row() -> None:
    with pytest.raises(ValueError, match="row 2"):
        trace([(0.0, 10, 10), (1.0, 0, 10)])
