"""What is expected of every row: metrics with their spread, and the chances of running and of meeting the limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tuner.search.staged.failures import Runs, learn_runs
from tuner.search.staged.history import Goal, Observation, Prediction, is_floor
from tuner.search.staged.landscape import Landscape
from tuner.search.staged.surrogate import Surrogate, learn
from tuner.trial import FailureKind

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

DOUBTED_BELOW = 0.5
"""Trust in one objective below which the others that rest on step times are doubted too."""
_Z90 = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class Outlook:
    """The surrogates of every metric that decides, and the model of what runs."""

    goal: Goal
    surrogates: Mapping[str, Surrogate]
    runs: Runs

    @property
    def least_trust(self) -> float:
        """Weight of the simulator in the objective where it counts least (0 to 1)."""
        return min(self.surrogates[metric].trust for metric in self.goal.objectives)

    def objectives(self, rows: Indices) -> tuple[Floats, Floats]:
        """Means and standard deviations of the log objectives at rows (each n × m)."""
        found = [self.surrogates[metric].predict(rows) for metric in self.goal.objectives]
        return np.stack([mean for mean, _ in found], axis=1), np.stack([spread for _, spread in found], axis=1)

    def chance_kept(self, rows: Indices) -> Floats:
        """Chance that rows meet the limits that are no objectives (those bound the hypervolume instead)."""
        chance = np.ones(len(rows))
        for metric, bound in self.goal.bounds.items():
            if metric in self.goal.objectives or metric not in self.surrogates:
                continue
            mean, spread = self.surrogates[metric].predict(rows)
            score = (np.log(bound) - mean) / spread
            chance *= ndtr(-score if is_floor(metric) else score)
        return chance

    def predictions(self, row: int) -> dict[str, Prediction]:
        """Every metric at one row, in its own unit."""
        found = {}
        for metric, surrogate in self.surrogates.items():
            mean, spread = surrogate.predict(np.array([row]))
            low, middle, high = np.exp(mean[0] + spread[0] * np.array([-_Z90, 0.0, _Z90]))
            found[metric] = Prediction(float(middle), float(low), float(high))
        return found


def outlook(
    landscape: Landscape,
    goal: Goal,
    observations: Sequence[Observation],
    believed: Sequence[int] = (),
) -> Outlook:
    """What the observations teach; `believed` rows are pending and taken to come out as predicted."""
    surrogates = {}
    for metric in goal.metrics:
        known = [(o.row, np.log(o.values[metric])) for o in observations if o.values.get(metric, 0.0) > 0]
        prior = landscape.log_priors.get(metric, ())
        if metric not in goal.objectives and not prior and not known:
            continue
        rows, values = [row for row, _ in known], np.array([value for _, value in known])
        found = learn(metric, landscape.encoded, prior, rows, values, landscape.lessons)
        surrogates[metric] = found
    surrogates = _linked(surrogates, goal)
    if believed:
        pending = np.asarray(believed, dtype=np.int64)
        surrogates = {metric: surrogate.believing(pending) for metric, surrogate in surrogates.items()}
    told = [o for o in observations if o.failure is not FailureKind.LOST]
    runs = learn_runs(
        landscape.encoded,
        landscape.log_memory,
        [o.row for o in told],
        [o.failure is not None for o in told],
        landscape.lessons,
    )
    return Outlook(goal, surrogates, runs)


def _linked(surrogates: Mapping[str, Surrogate], goal: Goal) -> dict[str, Surrogate]:
    """Doubts the simulator in every objective that rests on step times once it lies about one of them.

    TTFT is judged alone: queues make it go wrong where the step times are right.
    """
    linked = [metric for metric in goal.objectives if metric in surrogates and not metric.startswith("ttft")]
    least = min((surrogates[metric].trust for metric in linked), default=1.0)
    share = max(0.0, 1 - least / DOUBTED_BELOW)
    return {metric: found.doubting(share) if metric in linked else found for metric, found in surrogates.items()}
