"""From a simulated timeline to the metrics users sign: percentiles, throughput, goodput, overload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.simulator.latency.arrivals import FloatArray
from tuner.simulator.latency.timeline import Timeline

BoolArray = npt.NDArray[np.bool_]

QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
GOODPUT_LIMITS = ("ttft_ms", "tpot_ms", "request_latency_ms")


@dataclass(frozen=True)
class LatencySummary:
    """Metrics of a steady window.

    ``metrics``: keys of the public contract (latencies in ms); ``output_tokens_per_second``: the whole engine's;
    ``requests``: how many the window holds; ``window_ms``: from when to when; ``overload``: what is wrong when the
    offered load cannot be carried, else None.
    """

    metrics: dict[str, float]
    output_tokens_per_second: float
    requests: int
    window_ms: tuple[float, float]
    overload: str | None


def _weighted_quantile(values: FloatArray, weights: FloatArray, share: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    position = int(np.searchsorted(reached, share * reached[-1]))
    return float(values[order][min(position, len(values) - 1)])


def _statistics(name: str, values: FloatArray) -> dict[str, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return {}
    found = {f"{name}_mean_ms": float(known.mean())}
    quantiles = np.quantile(known, list(QUANTILES.values()))
    found.update({f"{name}_{label}_ms": float(value) for label, value in zip(QUANTILES, quantiles, strict=True)})
    return found


def _gap_statistics(timeline: Timeline, window: tuple[float, float]) -> dict[str, float]:
    ends = timeline.step_ends_ms
    inside = (ends >= window[0]) & (ends <= window[1])
    gaps, weights = timeline.step_gaps_ms[inside], timeline.step_tokens[inside]
    if not len(gaps):
        return {}
    found = {"itl_mean_ms": float(np.average(gaps, weights=weights))}
    found.update({f"itl_{label}_ms": _weighted_quantile(gaps, weights, share) for label, share in QUANTILES.items()})
    return found


def steady_requests(timeline: Timeline, concurrency: int | None) -> BoolArray:
    """The requests between warm-up and drain.

    Closed loop: neither the first two nor the last of each user, so that all they met was a full load. Open load: the
    middle 80 % of the arrivals. All of them where that leaves fewer than two.
    """
    count = len(timeline.sent_ms)
    if concurrency is None:
        first, last = int(0.1 * count), count - int(0.1 * count)
    else:
        first, last = 2 * concurrency, count - concurrency
    inside = np.zeros(count, dtype=bool)
    inside[first:last] = True
    return inside if np.count_nonzero(inside) >= 2 else np.ones(count, dtype=bool)


def _window(timeline: Timeline, inside: BoolArray) -> tuple[float, float]:
    """From the sending of the first steady request to that of the last, in ms; the whole run where they are one."""
    sent = timeline.sent_ms[inside]
    if sent.max() > sent.min() and not inside.all():
        return float(sent.min()), float(sent.max())
    ends = timeline.end_ms[np.isfinite(timeline.end_ms)]
    return float(sent.min()), float(ends.max()) if len(ends) else float(sent.max())


def _overload(timeline: Timeline, inside: BoolArray, seconds: float) -> str | None:
    """Say so when waiting time grows all through an open load, instead of settling."""
    waits = timeline.ttft_ms[inside]
    waits = waits[np.isfinite(waits)]
    offered = np.count_nonzero(inside) / seconds if seconds > 0 else 0.0
    if len(waits) < 20:
        return None
    quarter = len(waits) // 4
    early, late = float(np.median(waits[:quarter])), float(np.median(waits[-quarter:]))
    start, stop = float(timeline.sent_ms.min()), float(np.nanmax(timeline.end_ms))
    served = np.count_nonzero(np.isfinite(timeline.end_ms)) / (stop - start) * 1000.0
    slope_ms = float(np.polyfit(np.arange(len(waits)), waits, 1)[0]) * len(waits)
    if late > 2.0 * early and slope_ms > 0.1 * seconds * 1000.0:
        return f"{offered:.3g} requests/s are offered, about {served:.3g} are served: the queue grows without end"
    return None


def summarise(
    timeline: Timeline, *, concurrency: int | None, limits: Mapping[str, float] | None = None, lanes: float = 1
) -> LatencySummary:
    """Metrics of the steady window.

    ``concurrency``: of a closed loop, None for an open load. ``limits``: goodput limits in ms by ``ttft_ms``,
    ``tpot_ms``, ``request_latency_ms``; ValueError for any other name. ``lanes``: identical engines (pipeline
    micro-batches) that the timeline stands for.
    """
    for name in limits or {}:
        if name not in GOODPUT_LIMITS:
            raise ValueError(f"unknown goodput limit {name!r}; known: {', '.join(GOODPUT_LIMITS)}")
    inside = steady_requests(timeline, concurrency)
    start, stop = _window(timeline, inside)
    seconds = (stop - start) / 1000.0
    metrics = _statistics("ttft", timeline.ttft_ms[inside])
    metrics.update(_statistics("tpot", timeline.tpot_ms[inside]))
    metrics.update(_gap_statistics(timeline, (start, stop)))
    metrics.update(_statistics("request_latency", timeline.request_latency_ms[inside]))
    rate = lanes * _requests_per_second(timeline, inside, (start, stop), concurrency)
    if rate > 0:
        metrics["requests_per_second"] = rate
        if limits:
            metrics["goodput_requests_per_second"] = rate * _share_within(timeline, inside, limits)
    tokens_per_second = rate * float(timeline.output_tokens[inside].mean())
    overload = _overload(timeline, inside, seconds) if concurrency is None else None
    return LatencySummary(metrics, tokens_per_second, int(np.count_nonzero(inside)), (start, stop), overload)


def _requests_per_second(
    timeline: Timeline, inside: BoolArray, window: tuple[float, float], concurrency: int | None
) -> float:
    """Requests completed per second.

    Closed loop: by Little's law from the mean latency, which no wave of requests cut off by the window can bias. Open
    load: those that end in the window.
    """
    if concurrency is not None:
        latencies = timeline.request_latency_ms[inside]
        mean_ms = float(latencies[np.isfinite(latencies)].mean()) if np.isfinite(latencies).any() else 0.0
        return concurrency * 1000.0 / mean_ms if mean_ms > 0 else 0.0
    ended = (timeline.end_ms > window[0]) & (timeline.end_ms <= window[1])
    seconds = (window[1] - window[0]) / 1000.0
    return float(np.count_nonzero(ended)) / seconds if seconds > 0 else 0.0


def _share_within(timeline: Timeline, inside: BoolArray, limits: Mapping[str, float]) -> float:
    """Share of the steady requests that meet every limit (DistServe, arXiv 2401.09670).

    A request of one token has no TPOT and meets any; one that never ended meets none.
    """
    good = inside & np.isfinite(timeline.end_ms)
    columns = {
        "ttft_ms": timeline.ttft_ms,
        "tpot_ms": timeline.tpot_ms,
        "request_latency_ms": timeline.request_latency_ms,
    }
    for name, limit in limits.items():
        good &= ~(columns[name] > limit)
    return float(np.count_nonzero(good)) / float(np.count_nonzero(inside))
