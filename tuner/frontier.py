"""Dominance, hypervolume, the knee and the four recommendations.

The frontier is exact over the trials it was given: the feasible ones that no other feasible one dominates, equal
points included. Dominance and hypervolume come from `moocore` (López-Ibáñez et al., the reference implementation).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import moocore
import numpy as np
from numpy.typing import NDArray

from tuner.metrics import Objective
from tuner.trial import Trial, TrialState

Points = NDArray[np.float64]

HYPERVOLUME_DECADES: Final = 1.0
"""The hypervolume's box reaches this many decades below and above the baseline in every objective."""


def objective_values(metrics: Mapping[str, float], objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """The objectives of a trial, in order; `None` when one of them is not known."""
    values = tuple(metrics.get(objective.metric, math.nan) for objective in objectives)
    return None if any(math.isnan(value) for value in values) else values


def non_dominated(points: Points) -> NDArray[np.bool_]:
    """Which rows of `points` (n × objectives, minimised) no other row dominates; equal rows are all kept."""
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(points, keep_weakly=True), dtype=bool)


class Frontier:
    """The non-dominated feasible trials of a job, kept as trials come."""

    def __init__(self, objectives: Sequence[Objective], baseline: Mapping[str, float] | None = None) -> None:
        self.objectives = tuple(objectives)
        self.trials: tuple[Trial, ...] = ()
        self._points: Points = np.empty((0, len(self.objectives)))
        self._baseline = objective_values(baseline, self.objectives) if baseline is not None else None

    def add(self, trials: Sequence[Trial]) -> None:
        """Takes trials in; those that are not complete, or lack an objective, never join."""
        candidates = [
            (trial, values)
            for trial in trials
            if trial.state is TrialState.COMPLETE
            and (values := objective_values(trial.metrics, self.objectives)) is not None
        ]
        if not candidates:
            return
        points = np.vstack([self._points, np.array([values for _, values in candidates])])
        everyone = (*self.trials, *(trial for trial, _ in candidates))
        kept = non_dominated(points)
        self._points = points[kept]
        self.trials = tuple(trial for trial, keep in zip(everyone, kept, strict=True) if keep)

    def hypervolume(self) -> float | None:
        """Share of the box around the baseline that the frontier dominates (0 to 1); `None` without a baseline.

        The box spans `HYPERVOLUME_DECADES` below and above the baseline in the logarithm of every objective, so the
        baseline alone has 0.5 to the power of the number of objectives, and the figure never falls as trials come.
        """
        if self._baseline is None or any(value <= 0 for value in self._baseline):
            return None
        if len(self._points) == 0:
            return 0.0
        ratio = np.log10(np.maximum(self._points, 1e-300) / np.array(self._baseline))
        unit = (np.clip(ratio, -HYPERVOLUME_DECADES, HYPERVOLUME_DECADES) / HYPERVOLUME_DECADES + 1) / 2
        return float(moocore.hypervolume(unit, ref=np.ones(len(self.objectives))))


def knee(points: Points) -> int:
    """Row of `points` (n × objectives, positive, minimised) nearest the utopia point in normalised log space.

    Each objective's logarithm is scaled to 0 at its best and 1 at its worst on the frontier; the knee has the
    smallest Euclidean distance to the origin. Ties go to the first row.
    """
    logs = np.log(np.maximum(points, 1e-300))
    span = logs.max(axis=0) - logs.min(axis=0)
    scaled = (logs - logs.min(axis=0)) / np.where(span > 0, span, 1.0)
    return int(np.argmin(np.linalg.norm(scaled, axis=1)))


def recommendations(frontier: Sequence[Trial], objectives: Sequence[Objective]) -> dict[str, int]:
    """Trial numbers of `cheapest`, `greenest`, `fastest` and `balanced` among the frontier.

    `cheapest` and `greenest` have the least cost and energy, `fastest` the least of the job's first latency objective
    (TPOT when it has none), `balanced` is the knee over the job's objectives. Ties go to the better knee distance of
    the remaining objectives' sum of logarithms, then to the lower number. A recommendation whose metric is unknown
    for every trial is absent.
    """
    ranked = sorted(frontier, key=lambda trial: trial.number)
    latency = next((objective for objective in objectives if objective.is_latency), Objective.TPOT)
    picks: dict[str, int] = {}
    for name, objective in (("cheapest", Objective.COST), ("greenest", Objective.ENERGY), ("fastest", latency)):
        known = [trial for trial in ranked if objective.metric in trial.metrics]
        if known:
            picks[name] = min(known, key=lambda t, m=objective.metric: (t.metrics[m], _log_sum(t, objectives))).number  # type: ignore[misc]
    if ranked:
        points = np.array([objective_values(trial.metrics, objectives) for trial in ranked])
        picks["balanced"] = ranked[knee(points)].number
    return picks


def _log_sum(trial: Trial, objectives: Sequence[Objective]) -> float:
    values = objective_values(trial.metrics, objectives) or ()
    return sum(math.log(max(value, 1e-300)) for value in values)
