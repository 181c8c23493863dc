"""From a load's records to the metrics of a window, by the keys of the public contract, with their intervals.

TTFT runs from the scheduled moment to the first chunk with tokens; request latency to the last one; TPOT is what lies
between the two over the output tokens after the first, as MLPerf has it. Of each request that was answered whole and
ended in the window all three count. ITL are the gaps between tokens that ended in the window, whoever's they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tuner.load.arrivals import Arrivals, Closed
from tuner.load.closed_rate import request_interval, token_interval
from tuner.load.columns import Served
from tuner.load.plan import OUTPUT_RATE, Plan
from tuner.load.records import RequestRecord
from tuner.load.statistics import (
    MOST_BATCHES,
    QUANTILES,
    Floats,
    Interval,
    mean_interval,
    quantile_interval,
)
from tuner.load.tokens import gaps_between, output_between
from tuner.load.windows import Window, joined

LEAST_SURE_GAPS: Final = 0.95
"""ITL is given when the gaps of at least this share of the requests are known."""


@dataclass(slots=True)
class Figures:
    """Figures by key, and the intervals of those that have one."""

    values: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)

    def put(self, key: str, value: float, interval: Interval | None = None) -> None:
        """Adds a figure."""
        self.values[key] = value
        if interval is not None:
            self.intervals[key] = interval

    def derive(self, key: str, source: str, factor: float) -> None:
        """Adds a figure that is another times a positive factor."""
        if source in self.values:
            found = self.intervals.get(source)
            scaled = None if found is None else (found[0] * factor, found[1] * factor)
            self.put(key, self.values[source] * factor, scaled)


def summarise(
    records: Sequence[RequestRecord], served: Served, windows: Sequence[Window], plan: Plan, arrivals: Arrivals
) -> Figures:
    """Every figure of the window that these windows make."""
    window = joined(windows)
    inside = served.between(window.start.moment, window.end.moment)
    figures = latencies(inside)
    gaps, sure = gaps_between(records, window.start.moment, window.end.moment)
    if sure >= LEAST_SURE_GAPS:
        _put_statistics(figures, "itl", gaps)
    _put_rates(figures, inside, window, plan.goodput_limits, arrivals)
    edges = np.linspace(window.start.moment, window.end.moment, MOST_BATCHES + 1)
    tokens = output_between(records, edges)
    rate = float(tokens.sum()) / window.seconds
    figures.put(OUTPUT_RATE, rate, rate_interval(rate, tokens / np.diff(edges), inside, arrivals))
    _put_energy(figures, records, windows, plan.gpus)
    if plan.gpus is not None:
        figures.derive(f"{OUTPUT_RATE}_per_gpu", OUTPUT_RATE, 1.0 / plan.gpus)
    return figures


def rate_interval(rate: float, rates: Floats, inside: Served, arrivals: Arrivals) -> Interval | None:
    """Of a counted rate of output tokens: by the requests in a closed loop, else by the rates of stretches of time."""
    if isinstance(arrivals, Closed):
        return token_interval(rate, inside, arrivals.concurrency)
    return mean_interval(rates)


def latencies(inside: Served) -> Figures:
    """TTFT, TPOT and request latency of requests, and the token rate that their users see."""
    figures = Figures()
    _put_statistics(figures, "ttft", inside.ttft_ms)
    _put_statistics(figures, "tpot", inside.tpot_ms)
    _put_statistics(figures, "request_latency", inside.request_latency_ms)
    tpot = figures.values.get("tpot_mean_ms")
    if tpot:
        found = figures.intervals.get("tpot_mean_ms")
        inverse = None if found is None or found[0] <= 0 else (1000.0 / found[1], 1000.0 / found[0])
        figures.put(f"{OUTPUT_RATE}_per_user", 1000.0 / tpot, inverse)
    return figures


def _put_statistics(figures: Figures, name: str, values: Floats) -> None:
    known = values[np.isfinite(values)]
    if not len(known):
        return
    figures.put(f"{name}_mean_ms", float(known.mean()), mean_interval(known))
    for label, share in QUANTILES.items():
        figures.put(f"{name}_{label}_ms", float(np.quantile(known, share)), quantile_interval(known, share))


def _put_rates(
    figures: Figures, inside: Served, window: Window, limits_ms: Mapping[str, float], arrivals: Arrivals
) -> None:
    if not len(inside):
        return
    edges = np.linspace(window.start.moment, window.end.moment, MOST_BATCHES + 1)
    rate, interval = _rate(inside.ended, edges)
    if isinstance(arrivals, Closed):
        interval = request_interval(rate, inside, arrivals.concurrency)
    figures.put("requests_per_second", rate, interval)
    if limits_ms:
        good = np.ones(len(inside), dtype=bool)
        for name, limit in limits_ms.items():
            values: Floats = getattr(inside, name)
            good &= (values <= limit) | np.isnan(values)
        figures.put("goodput_requests_per_second", *_rate(inside.ended[good], edges))


def _rate(moments: Floats, edges: Floats) -> tuple[float, Interval | None]:
    counts = np.histogram(moments, bins=edges)[0] / np.diff(edges)
    return len(moments) / float(edges[-1] - edges[0]), mean_interval(counts) if len(moments) >= MOST_BATCHES else None


def _put_energy(
    figures: Figures, records: Sequence[RequestRecord], windows: Sequence[Window], gpus: int | None
) -> None:
    """Joules of the whole window over its output tokens; the interval is that of the windows', where they are enough."""
    window = joined(windows)
    edges = np.array([windows[0].start.moment, *(one.end.moment for one in windows)])
    tokens = output_between(records, edges)
    if window.joules is None or not tokens.sum():
        return
    parts = [one.joules / count for one, count in zip(windows, tokens, strict=True) if one.joules is not None and count]
    interval = mean_interval(parts) if len(parts) == len(windows) else None
    figures.put("energy_joules_per_output_token", window.joules / float(tokens.sum()), interval)
    if gpus is not None:
        watts = [one.joules / one.seconds / gpus for one in windows if one.joules is not None]
        figures.put("power_watts_per_gpu", window.joules / window.seconds / gpus, mean_interval(watts))
