"""Means and percentiles with 95 % confidence intervals of figures that depend on one another.

Requests that are served together are late together, so intervals stand on batch means (Law, Simulation Modeling and
Analysis, 9.5.3): figures in order of time are cut into at most 20 batches, whose means spread as the whole mean does.
What dependence is left between neighbouring batches widens the interval as it would for a first-order autoregression.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
MOST_BATCHES: Final = 20
LEAST_BATCHES: Final = 5
"""With fewer figures than this there is no interval."""
CONFIDENCE: Final = 0.95
MOST_CORRELATION: Final = 0.9


def mean_interval(values: Sequence[float] | Floats) -> Interval | None:
    """The interval of the mean of figures in order of time; `None` when they are too few."""
    batches = batch_means(np.asarray(values, dtype=np.float64))
    if len(batches) < LEAST_BATCHES:
        return None
    half = _student(len(batches)) * float(batches.std(ddof=1)) * (widening(batches) / len(batches)) ** 0.5
    middle = float(np.mean(values))
    return middle - half, middle + half


def quantile_interval(values: Sequence[float] | Floats, share: float) -> Interval | None:
    """The interval of a quantile of figures in order of time: two of them, by rank; `None` when they are too few.

    The rank's spread is binomial, widened by how the share of figures below the quantile varies between batches.
    """
    known = np.asarray(values, dtype=np.float64)
    if len(known) < LEAST_BATCHES:
        return None
    below = (known <= np.quantile(known, share)).astype(np.float64)
    spread = _rank_spread(below, share)
    ordered = np.sort(known)
    low, high = (np.floor((share - spread) * len(known)) - 1, np.ceil((share + spread) * len(known)))
    if low < 0 or high > len(known) - 1:
        return None
    return float(ordered[int(low)]), float(ordered[int(high)])


def batch_means(values: Floats) -> Floats:
    """The means of batches of nearly equal size, at most `MOST_BATCHES`, each of neighbours in time."""
    if len(values) <= MOST_BATCHES:
        return values
    edges = np.linspace(0, len(values), MOST_BATCHES + 1).round().astype(int)
    sums = np.add.reduceat(values, edges[:-1])
    return np.asarray(sums / np.diff(edges), dtype=np.float64)


def widening(batches: Floats) -> float:
    """By how much dependence between neighbours widens the variance of the mean (1 or more).

    The correlation is corrected for its own bias, -1/n in short series.
    """
    centred = batches - batches.mean()
    power = float((centred**2).sum())
    if power <= 0.0:
        return 1.0
    found = float((centred[1:] * centred[:-1]).sum()) / power + 1.0 / len(batches)
    correlation = min(max(found, 0.0), MOST_CORRELATION)
    return (1.0 + correlation) / (1.0 - correlation)


def relative_half_width(interval: Interval | None, value: float) -> float | None:
    """Half the width of an interval over its figure; `None` without an interval."""
    if interval is None:
        return None
    half = (interval[1] - interval[0]) / 2
    if half == 0.0:
        return 0.0
    return half / abs(value) if value else None


def _rank_spread(below: Floats, share: float) -> float:
    """Half the interval of the share of figures below a quantile, never less than independent ones would have."""
    batches = batch_means(below)
    independent = float(stats.norm.ppf(0.5 + CONFIDENCE / 2) * (share * (1 - share) / len(below)) ** 0.5)
    spread = float(batches.std(ddof=1)) * (widening(batches) / len(batches)) ** 0.5
    return float(max(independent, _student(len(batches)) * spread))


def _student(batches: int) -> float:
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, batches - 1))
