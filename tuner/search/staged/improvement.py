"""Expected hypervolume improvement, exact, for independent normal objectives that are minimised.

The space that the front leaves undominated below the reference is cut into disjoint boxes; the expected dominated part
of each box is a product of one-dimensional expectations (Yang, Emmerich, Deutz, Bäck: Multi-Objective Bayesian Global
Optimization using expected hypervolume improvement gradient, 2019).
"""

from typing import Final

import moocore
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

MOST_BOXES: Final = 6_000
"""Boxes kept; a front that needs more is thinned to its members of greatest spread."""
_CHUNK: Final = 4_000_000
_ROOT_TAU: Final = (2 * np.pi) ** 0.5


class Improvement:
    """What a candidate is expected to add to the hypervolume of a front (f × m) below a reference (m)."""

    def __init__(self, front: Floats, reference: Floats) -> None:
        inside = front[(front < reference).all(axis=1)] if len(front) else front
        kept = inside[moocore.is_nondominated(inside)] if len(inside) else inside
        self.front, self.reference = kept, reference
        lower, upper = _boxes(kept, reference)
        self._edges = [np.unique(np.concatenate([lower[:, j], upper[:, j]])) for j in range(len(reference))]
        self._lower = [np.searchsorted(edges, lower[:, j]) for j, edges in enumerate(self._edges)]
        self._upper = [np.searchsorted(edges, upper[:, j]) for j, edges in enumerate(self._edges)]

    def expected(self, mean: Floats, deviation: Floats) -> Floats:
        """Expected improvement (n, volume) of candidates with these means and standard deviations (n × m)."""
        found = np.empty(len(mean))
        step = max(1, _CHUNK // max(1, len(self._lower[0])))
        for start in range(0, len(mean), step):
            part = slice(start, start + step)
            product: Floats | None = None
            for j, edges in enumerate(self._edges):
                gain = _expected_gain(edges, mean[part, j], deviation[part, j])
                side = gain[:, self._upper[j]] - gain[:, self._lower[j]]
                product = side if product is None else product * side
            found[part] = 0.0 if product is None else product.sum(axis=1)
        return found


def hypervolume(points: Floats, reference: Floats) -> float:
    """Volume that points (n × m, minimised) dominate below the reference (m)."""
    inside = points[(points < reference).all(axis=1)] if len(points) else points
    return float(moocore.hypervolume(inside, ref=reference)) if len(inside) else 0.0


def _expected_gain(edges: Floats, mean: Floats, deviation: Floats) -> Floats:
    """E[(edge - y)+] for y normal, candidates × edges; 0 at minus infinity."""
    finite = np.where(np.isfinite(edges), edges, 0.0)
    gap = finite[None, :] - mean[:, None]
    score = gap / deviation[:, None]
    gain: Floats = gap * ndtr(score) + deviation[:, None] * np.exp(-0.5 * score**2) / _ROOT_TAU
    gain[:, ~np.isfinite(edges)] = 0.0
    return gain


def _boxes(front: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Disjoint boxes (lower and upper corners, b × m) that cover what is below the reference and not dominated."""
    order = np.argsort(front[:, 0], kind="stable") if len(front) else np.empty(0, dtype=np.int64)
    lower, upper = _cut(front[order], reference)
    while len(lower) > MOST_BOXES:
        front = _thinned(front)
        lower, upper = _cut(front[np.argsort(front[:, 0], kind="stable")], reference)
    return lower, upper


def _cut(front: Floats, reference: Floats) -> tuple[Floats, Floats]:
    lower = np.full((1, len(reference)), -np.inf)
    upper = reference[None, :].copy()
    for point in front:
        hit = (point < upper).all(axis=1)
        low, high = lower[hit], upper[hit]
        lows, highs = [lower[~hit]], [upper[~hit]]
        for j in range(len(reference)):
            piece_high = high.copy()
            piece_high[:, j] = point[j]
            kept = low[:, j] < point[j]
            lows.append(low[kept])
            highs.append(piece_high[kept])
            low = low.copy()
            low[:, j] = np.maximum(low[:, j], point[j])
        lower, upper = np.concatenate(lows), np.concatenate(highs)
    return lower, upper


def _thinned(front: Floats) -> Floats:
    """Half of the front: every other member along the first objective."""
    return front[np.argsort(front[:, 0], kind="stable")][::2]
