"""Latency distributions of a configuration: its scheduler simulated on its own step times."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from tuner.configuration import Configuration
from tuner.simulator.closed_form import Estimate
from tuner.simulator.kernel_data import KernelEngine, failures_named
from tuner.simulator.latency.arrivals import FloatArray, IntArray, Traffic
from tuner.simulator.latency.limits import EngineLimits, HostOverhead
from tuner.simulator.latency.scheduling import simulate
from tuner.simulator.latency.steps import StepTimes, fill_step_times
from tuner.simulator.latency.summary import LatencySummary, summarise
from tuner.space.lengths import Lengths, read_trace, trace_of
from tuner.spec_workload import NormalLength, TokenLength, TraceLength, Workload

WARM_UP_ROUNDS: Final = 3
"""Requests of each user that fall before and after the window that counts."""
COUNTED_REQUESTS: Final = 300
"""Requests inside the window at the least, and one of each user, so that a p99 rests on a few of them."""
OPEN_REQUESTS: Final = 1500
"""Requests of an open load; the middle 80 % of them count."""
FEWEST_REPLAYED: Final = 200
"""Requests of a trace that each server gets at the least."""
GOODPUT_LATENCIES: Final = ("ttft", "tpot", "request_latency")


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of the whole deployment: lengths, load, latency limits of one request in ms, and the seed."""

    workload: Workload
    lengths: Lengths
    limits_ms: Mapping[str, float]
    seed: int


def goodput_limits(constraints: Mapping[str, float]) -> dict[str, float]:
    """The limit in ms that each request must meet, by latency: the tightest bound on any of its statistics."""
    limits: dict[str, float] = {}
    for latency in GOODPUT_LATENCIES:
        bounds = [bound for key, bound in constraints.items() if key.startswith(f"{latency}_")]
        if bounds:
            limits[f"{latency}_ms"] = min(bounds)
    return limits


def step_times(engine: KernelEngine, configuration: Configuration, lengths: Lengths) -> StepTimes:
    """Step times of one attention rank and pipeline stage, filled from the kernel data (1 to 5 ms).

    Raises `UnsupportedError` where the kernel data ends.
    """
    with failures_named():
        return fill_step_times(
            engine.steps,
            prompt_tokens=max(1, round(lengths.input_mean)),
            max_context_tokens=max(configuration.max_num_tokens, round(lengths.input_mean)),
            max_requests=batch_ceiling(configuration),
            max_length=lengths.sequence_max,
            ranks=configuration.data_parallel_ranks,
        )


def batch_ceiling(configuration: Configuration) -> int:
    """Most requests that one rank decodes at once: the scheduler's ceiling, or fewer where fewer are in flight."""
    lane = -(-configuration.requests_per_rank // configuration.pipeline_parallel)
    return lane if configuration.max_batch_size is None else min(lane, configuration.max_batch_size)


def simulate_latency(
    clock: StepTimes, configuration: Configuration, estimate: Estimate, demand: Demand, host: HostOverhead
) -> LatencySummary:
    """The latency figures of one replica under its share of the demand.

    Pipeline stages work on lanes of requests that are alike, so one lane is simulated. The same seed gives the same
    figures.
    """
    c = configuration
    lanes = c.pipeline_parallel
    limits = EngineLimits(
        max_batch_size=batch_ceiling(c),
        max_num_tokens=c.max_num_tokens,
        chunked_prefill=c.chunked_prefill,
        kv_tokens=estimate.kv_tokens,
        ranks=c.data_parallel_ranks,
        host=host,
    )
    generator = np.random.default_rng(demand.seed)
    users = None if demand.workload.is_open else -(-c.concurrency // lanes)
    traffic = (
        _open(demand, c.replicas * lanes, generator) if users is None else _closed(demand, users, estimate, generator)
    )
    timeline = simulate(clock, limits, traffic)
    copies = lanes if users is None else c.concurrency / users
    return summarise(timeline, concurrency=users, limits=demand.limits_ms, lanes=copies)


def _closed(demand: Demand, users: int, estimate: Estimate, generator: np.random.Generator) -> Traffic:
    """Users that each wait for their answer before they ask again; they start evenly over one request's time."""
    inputs, outputs = _lengths(demand, WARM_UP_ROUNDS * users + max(COUNTED_REQUESTS, users), generator)
    sent = np.linspace(0.0, estimate.request_latency_ms, users, endpoint=False)
    return Traffic(inputs, outputs, sent, users)


def _open(demand: Demand, shares: int, generator: np.random.Generator) -> Traffic:
    """Arrivals at a rate or by a trace; each of `shares` equal servers gets its share of them.

    At a rate each server's gaps have the workload's burstiness, as when it is measured alone. A trace too short to be
    shared is replayed again and again.
    """
    rate = demand.workload.request_rate
    if rate is not None:
        inputs, outputs = _lengths(demand, OPEN_REQUESTS, generator)
        gaps = _gaps(demand.workload.burstiness, 1000.0 * shares / rate, generator)
        return Traffic(inputs, outputs, np.cumsum(gaps))
    seconds = np.array([request.arrival_seconds or 0.0 for request in trace_of(demand.workload)])
    rounds = max(1, -(-FEWEST_REPLAYED * shares // len(seconds)))
    period = seconds[-1] - seconds[0] + (seconds[-1] - seconds[0]) / max(len(seconds) - 1, 1)
    arrivals = np.concatenate([seconds - seconds[0] + turn * period for turn in range(rounds)])
    inputs, outputs = _lengths(demand, len(arrivals), generator)
    return Traffic(inputs[::shares], outputs[::shares], 1000.0 * arrivals[::shares])


def _gaps(burstiness: float | Literal["constant"], mean_ms: float, generator: np.random.Generator) -> FloatArray:
    """Milliseconds between requests: alike, exponential (Poisson arrivals), or gamma-distributed of that shape."""
    if burstiness == "constant":
        return np.full(OPEN_REQUESTS, mean_ms)
    if burstiness == 1.0:
        return generator.exponential(mean_ms, OPEN_REQUESTS)
    return generator.gamma(burstiness, mean_ms / burstiness, OPEN_REQUESTS)


def _lengths(demand: Demand, count: int, generator: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Prompt and output lengths of `count` requests; a trace's rows are repeated in their order, pairs together."""
    return (
        _side(demand.workload.input_tokens, "input_tokens", demand.lengths.input_max, count, generator),
        _side(demand.workload.output_tokens, "output_tokens", demand.lengths.output_max, count, generator),
    )


def _side(length: TokenLength, side: str, longest: int, count: int, generator: np.random.Generator) -> IntArray:
    if isinstance(length, TraceLength):
        rows = read_trace(length.trace, f"workload.{side}.trace")
        return np.resize(np.array([getattr(row, side) for row in rows], dtype=np.int64), count)
    if isinstance(length, NormalLength):
        drawn = np.rint(generator.normal(length.mean, length.stdev, count))
        return np.clip(drawn, 1, longest).astype(np.int64)
    return np.full(count, length, dtype=np.int64)
