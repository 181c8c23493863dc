"""How sure a rate is that was counted in a closed loop.

There each stream sends its next request when the last has ended, so that streams fall into step: all compute their prompts,
then all get tokens. Counts of short stretches swing with that, though the rate is as steady as the requests are. By Little's
law it is concurrency over mean latency, a ratio of means of requests (Law, Simulation Modeling and Analysis, 9.5.3).
"""

import numpy as np

from tuner.load.columns import MS, Served
from tuner.load.statistics import Floats, Interval, mean_interval


def token_interval(counted: float, inside: Served, concurrency: int) -> Interval | None:
    """Of the output tokens per second of a closed loop; `None` with too few requests."""
    return _interval(counted, inside.output_tokens, inside, concurrency)


def request_interval(counted: float, inside: Served, concurrency: int) -> Interval | None:
    """Of the requests per second of a closed loop; `None` with too few requests."""
    return _interval(counted, np.ones(len(inside)), inside, concurrency)


def _interval(counted: float, amounts: Floats, inside: Served, concurrency: int) -> Interval | None:
    """Around the counted rate and the one by Little's law: a window that cuts a round in two counts a part of it."""
    seconds = inside.request_latency_ms / MS
    if not len(inside) or not seconds.sum() > 0:
        return None
    per_stream = float(amounts.sum() / seconds.sum())
    spread = mean_interval(amounts - per_stream * seconds)
    if spread is None:
        return None
    half = concurrency * (spread[1] - spread[0]) / 2 / float(seconds.mean())
    by_law = concurrency * per_stream
    return max(0.0, min(counted, by_law) - half), max(counted, by_law) + half
