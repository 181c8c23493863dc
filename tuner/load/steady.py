"""Judgements on a load under way: is it warm, is it exact enough, is it broken, does the engine keep up?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from tuner.load.arrivals import Arrivals, Closed, Open
from tuner.load.closed_rate import request_interval
from tuner.load.columns import Served
from tuner.load.plan import OUTPUT_RATE, Plan
from tuner.load.records import ErrorKind, RequestRecord
from tuner.load.statistics import LEAST_BATCHES, MOST_BATCHES, Floats, mean_interval, relative_half_width
from tuner.load.summary import Figures, latencies, rate_interval
from tuner.load.traffic import Traffic

SETTLED_LATENCIES: Final = 2.0
"""An open load is warm after so many times the longest latency: by then as many requests end as come."""
LEAST_ARRIVALS: Final = 20
KEPT_UP_SHARE: Final = 0.9
"""An engine that answers less than this share of what arrives in a window does not keep up, noise apart."""
NOISE_SIGMAS: Final = 3.0
TRANSIENT_SHARE: Final = 0.05
"""A first window that differs by more than this from the rest, and by more than the noise, still belonged to the warm-up."""

Span = tuple[float, float, float]
"""A request under way: moments of its first and its latest token, and tokens so far."""


def is_warm(traffic: Traffic, elapsed: float, plan: Plan) -> bool:
    """Whether ramp-up is over: each stream has answered once, or as many requests end as arrive."""
    if elapsed < plan.warm_up_seconds:
        return False
    arrivals = traffic.load.arrivals
    if isinstance(arrivals, Closed):
        return len(traffic.answered_streams) >= arrivals.concurrency
    return traffic.whole > 0 and elapsed >= SETTLED_LATENCIES * traffic.longest_seconds


def is_broken(traffic: Traffic, elapsed: float, plan: Plan) -> bool:
    """Whether more requests failed than the whole load may have, if it goes on as it went so far."""
    total = traffic.failed + traffic.whole
    expected = total * max(1.0, plan.seconds / max(elapsed, 0.1))
    return traffic.failed > plan.failed_share * expected


def widest(
    served: Served, under_way: Sequence[Span], start: float, end: float, plan: Plan, arrivals: Arrivals
) -> float | None:
    """The widest relative half width among the wanted metrics; `None` where one has no interval yet.

    Looks at what requests say as a whole, so that it takes a millisecond of the load: ITL stands for its mean, TPOT;
    the tokens of a request count as spread evenly from its first to its last.
    """
    inside = served.between(start, end)
    figures = latencies(inside)
    _put_rates(figures, inside, under_way, start, end, arrivals)
    widths: list[float] = []
    for key in plan.wanted:
        shown = _stand_in(key)
        if shown not in figures.values:
            if len(inside) >= LEAST_BATCHES:
                continue  # this load cannot have it
            return None
        width = relative_half_width(figures.intervals.get(shown), figures.values[shown])
        if width is None:
            return None
        widths.append(width)
    return max(widths, default=0.0)


def transient_windows(token_rates: Sequence[float]) -> int:
    """How many windows at the start of a load differ from all that follow them, and are better left out."""
    dropped = 0
    while len(token_rates) - dropped > LEAST_BATCHES:
        first, rest = token_rates[dropped], np.asarray(token_rates[dropped + 1 :])
        middle, spread = float(rest.mean()), float(rest.std(ddof=1))
        if abs(first - middle) <= max(TRANSIENT_SHARE * middle, NOISE_SIGMAS * spread):
            break
        dropped += 1
    return dropped


def falls_behind(records: Sequence[RequestRecord], arrivals: Arrivals, start: float, end: float) -> str | None:
    """Why an open load was more than the engine carries, in one sentence; `None` when it kept up."""
    if isinstance(arrivals, Closed):
        return None
    arrived = sum(start <= record.scheduled < end for record in records)
    ended = sum(start <= record.ended < end and not record.cut for record in records)
    clumping = 1.0 / min(1.0, arrivals.burstiness or 1.0) if isinstance(arrivals, Open) else 1.0
    noise = NOISE_SIGMAS * (2.0 * arrived * clumping) ** 0.5
    if arrived < LEAST_ARRIVALS or ended >= KEPT_UP_SHARE * arrived or arrived - ended <= noise:
        return None
    seconds = end - start
    return f"{arrived / seconds:.3g} requests per second arrive and {ended / seconds:.3g} are answered"


def count_errors(records: Sequence[RequestRecord]) -> Mapping[ErrorKind, int]:
    """How many requests failed, by kind."""
    return Counter(record.error for record in records if record.error is not None)


def _put_rates(
    figures: Figures, inside: Served, under_way: Sequence[Span], start: float, end: float, arrivals: Arrivals
) -> None:
    if len(inside) < LEAST_BATCHES:
        return
    edges = np.linspace(start, end, MOST_BATCHES + 1)
    requests = np.histogram(inside.ended, bins=edges)[0] / np.diff(edges)
    rate, interval = float(requests.mean()), mean_interval(requests)
    if isinstance(arrivals, Closed):
        interval = request_interval(rate, inside, arrivals.concurrency)
    figures.put("requests_per_second", rate, interval)
    ended = np.column_stack((inside.ended - inside.streaming_seconds, inside.ended, inside.output_tokens))
    spans = np.concatenate((ended, np.asarray(under_way, dtype=np.float64).reshape(-1, 3)))
    tokens = _spread_over(spans, edges) / np.diff(edges)
    rate = float(tokens.mean())
    figures.put(OUTPUT_RATE, rate, rate_interval(rate, tokens, inside, arrivals))


def _spread_over(spans: Floats, edges: Floats) -> Floats:
    """Tokens of spans (first moment, last moment, tokens) in each stretch between two edges, spread evenly."""
    first, last, tokens = spans[:, 0, None], spans[:, 1, None], spans[:, 2, None]
    done = np.clip((edges[None, :] - first) / np.maximum(last - first, 1e-9), 0.0, 1.0)
    return np.asarray(np.diff((done * tokens).sum(axis=0)), dtype=np.float64)


def _stand_in(key: str) -> str:
    if key.startswith("itl_"):
        return "tpot_mean_ms"
    rates = ("goodput_requests_per_second", "requests_per_second")
    if key in rates:
        return "requests_per_second"
    return OUTPUT_RATE if key in (f"{OUTPUT_RATE}_per_gpu", OUTPUT_RATE) or not key.endswith("_ms") else key
