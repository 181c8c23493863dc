"""Chooses what to simulate in depth: everything that the frontier may hold, given what the simulation taught so far.

The closed formula ranks; the scheduling simulation decides. A candidate is a trial that the formula does not place
clearly behind the simulated frontier, once the formula's own figures are corrected by the median ratio seen so far and
given a margin. The last rounds drop both: they go on until every member of the frontier was simulated.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.frontier import Points, non_dominated

SIMULATED_WHOLE_UP_TO: Final = 400
"""Spaces up to this size are simulated whole."""
MARGIN: Final = 0.10
"""How much better than the formula says a trial is given the benefit of the doubt to be, in every objective."""
MARGIN_CANDIDATES: Final = 800
"""Most trials simulated for the margin's sake; the frontier itself is always simulated to its end."""
BATCH: Final = 128
"""Trials simulated before the choice is made anew."""

_TINY: Final = 1e-12
_NONE: Final[NDArray[np.int64]] = np.empty(0, dtype=np.int64)

Mask = NDArray[np.bool_]


class Refinement:
    """The figures of a job's trials (n × objectives), screened and simulated; rows are trial numbers.

    A row of `screened` or `simulated` is NaN while unknown. `possible` marks the trials that no known figure excludes.
    """

    def __init__(self, screened: Points, possible: Mask) -> None:
        self.screened = screened
        self.possible = possible.copy()
        self.simulated = np.full_like(screened, np.nan)
        self.done: Mask = np.zeros(len(screened), dtype=bool)

    def tell(self, numbers: Sequence[int], points: Points, feasible: Mask) -> None:
        """Takes the simulated figures of some trials; those that are not feasible leave the race."""
        rows = np.asarray(numbers, dtype=np.int64)
        self.simulated[rows] = points
        self.done[rows] = True
        self.possible[rows] = feasible

    def next_batch(self) -> list[int]:
        """Numbers of the trials to simulate next; empty when the frontier stands."""
        return [int(number) for number in self._candidates()[:BATCH]]

    def waiting(self) -> int:
        """Candidates that stand open now."""
        return len(self._candidates())

    def _candidates(self) -> NDArray[np.int64]:
        if len(self.screened) <= SIMULATED_WHOLE_UP_TO:
            return np.flatnonzero(self.possible & ~self.done)
        chosen = self._within_margin() if int(self.done.sum()) < MARGIN_CANDIDATES else _NONE
        return chosen if len(chosen) else self._unsimulated_frontier()

    def _within_margin(self) -> NDArray[np.int64]:
        """Open trials that may join the frontier, the most promising first."""
        open_rows = np.flatnonzero(self.possible & ~self.done)
        if len(open_rows) == 0:
            return open_rows
        expected = self.screened[open_rows] * self._bias()
        known = self.simulated[self.possible & self.done]
        front = expected[non_dominated(expected)] if len(known) == 0 else known[non_dominated(known)]
        hopeful = ~_strictly_dominated(expected * (1 - MARGIN), front)
        order = np.argsort(_distance(expected[hopeful], front), kind="stable")
        return open_rows[hopeful][order]

    def _unsimulated_frontier(self) -> NDArray[np.int64]:
        """Open trials that, by their figures as they stand, no other trial dominates."""
        rows = np.flatnonzero(self.possible)
        points = np.where(self.done[rows, None], self.simulated[rows], self.screened[rows])
        front = rows[non_dominated(points)]
        return front[~self.done[front]]

    def _bias(self) -> Points:
        """Median of simulated over screened, by objective; 1 before anything was simulated."""
        known = self.done & self.possible
        if not known.any():
            return np.ones(self.screened.shape[1])
        ratio = self.simulated[known] / self.screened[known]
        return np.asarray(np.nanmedian(ratio, axis=0), dtype=np.float64)


def _strictly_dominated(points: Points, front: Points) -> Mask:
    """Which points some member of the front is better than in every objective."""
    dominated = np.zeros(len(points), dtype=bool)
    for member in front:
        dominated |= (member < points).all(axis=1)
    return dominated


def _distance(points: Points, front: Points) -> NDArray[np.float64]:
    """How far behind the front each point lies: the least factor (log) by which some member leads it everywhere."""
    behind = np.full(len(points), -np.inf)
    for member in front:
        ratio = np.maximum(points, _TINY) / np.maximum(member, _TINY)
        behind = np.maximum(behind, np.log(ratio).min(axis=1))
    return behind
