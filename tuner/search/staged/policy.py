"""Chooses the next measurement: the most expected hypervolume improvement times its chance of being feasible.

A pure function of the space, the goal, the seed and the history: the order in which trials ended does not matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.search.staged.exclusion import open_rows
from tuner.search.staged.history import Goal, Observation, Proposal, Reason
from tuner.search.staged.improvement import Improvement, hypervolume
from tuner.search.staged.landscape import Landscape
from tuner.search.staged.outlook import Outlook, outlook
from tuner.search.staged.repeats import pooled, worth_repeating
from tuner.search.staged.start import BLIND_START, DOUBTFUL_START, spread_row

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

BOLDNESS: Final = 0.5
"""Share added to the predicted spread: parameters fitted to a few points make the process too sure of itself.

Only as far as the simulator is believed; without it the spread is wide enough."""
SHORTLIST: Final = 2_000
"""Candidates whose improvement is computed; the others are worse by a cheap bound."""
_LEAST_CHANCE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Policy:
    """The measuring policy of one job.

    `most_repeats`: measurements of one row at most; 1 where a repeat would tell nothing new (replay tables).
    """

    landscape: Landscape
    goal: Goal
    seed: int = 0
    most_repeats: int = 1

    def propose(
        self,
        observations: Sequence[Observation],
        pending: Sequence[int] = (),
        warm: Sequence[int] = (),
        affordable: NDArray[np.bool_] | None = None,
    ) -> Proposal | None:
        """The next row to measure, while `pending` rows are in flight; `None` when no row is left to try.

        `warm`: deployments (`Landscape.build`) that are up and free: their other loads are cheaper to measure.
        `affordable`: which rows (n) the budget has room for.
        """
        every = sorted(observations, key=lambda observation: observation.number)
        told, waiting = pooled(every), sorted(set(pending))
        left = open_rows(self.landscape, every, waiting)
        rows = np.flatnonzero(left if affordable is None else left & affordable)
        if len(rows) == 0:
            return None
        view = outlook(self.landscape, self.goal, told, waiting)
        ran = sum(observation.failure is None for observation in told) + len(waiting)
        if ran < (DOUBTFUL_START if self.landscape.log_priors else BLIND_START) and view.least_trust < 0.5:
            taken = [*(observation.row for observation in told), *waiting]
            row = spread_row(self.landscape, rows, view.runs.chance(rows), taken, self.seed)
            return Proposal(row, _reason(view, "space_filling", row))
        proposal = self._best(view, rows, told, waiting, warm)
        repeat = worth_repeating(every, self.goal, self.most_repeats, waiting)
        if repeat is not None and repeat[1] > proposal.reason.expected_gain * proposal.reason.chance_feasible:
            return Proposal(repeat[0], _reason(view, "repeat", repeat[0], repeat[1]))
        return proposal

    def _best(
        self, view: Outlook, rows: Indices, told: Sequence[Observation], waiting: Sequence[int], warm: Sequence[int]
    ) -> Proposal:
        mean, spread = view.objectives(rows)
        chance = view.runs.chance(rows) * view.chance_kept(rows)
        front = self._front(view, told, waiting)
        improvement = Improvement(front, self._reference(mean, chance, front))
        wide = spread * (1 + BOLDNESS * view.least_trust)
        worth = np.maximum(chance, _LEAST_CHANCE) / self._prices(rows, warm)
        short = _shortlist(mean - wide, worth, improvement)
        gain = improvement.expected(mean[short], wide[short])
        best = int(np.argmax(gain * worth[short]))
        volume = hypervolume(front, improvement.reference)
        row = int(rows[short[best]])
        return Proposal(row, _reason(view, "improvement", row, float(gain[best] / volume) if volume > 0 else 1.0))

    def _prices(self, rows: Indices, warm: Sequence[int]) -> Floats:
        saved = np.where(np.isin(self.landscape.build[rows], warm), self.landscape.start_price[rows], 0.0)
        return np.asarray(self.landscape.price[rows] - saved, dtype=np.float64)

    def _front(self, view: Outlook, told: Sequence[Observation], waiting: Sequence[int]) -> Floats:
        """Log objectives of what was measured and is feasible, and of pending rows that probably are."""
        points = [
            [np.log(o.values[metric]) for metric in self.goal.objectives]
            for o in told
            if o.failure is None and self.goal.keeps(o.values) and all(m in o.values for m in self.goal.objectives)
        ]
        found = np.array(points).reshape(-1, len(self.goal.objectives))
        if not waiting:
            return found
        at = np.asarray(waiting, dtype=np.int64)
        likely = view.runs.chance(at) * view.chance_kept(at) > 0.5
        return np.concatenate([found, view.objectives(at[likely])[0]]) if likely.any() else found

    def _reference(self, mean: Floats, chance: Floats, front: Floats) -> Floats:
        """The worst log objectives that are probably feasible, and no worse than the bounds."""
        likely = mean[chance > 0.5] if (chance > 0.5).any() else mean
        worst = np.concatenate([likely, front]).max(axis=0)
        bounds = [self.goal.bounds.get(metric, np.inf) for metric in self.goal.objectives]
        return np.asarray(np.minimum(worst, np.log(bounds)) + 1e-3, dtype=np.float64)


def _shortlist(hopeful: Floats, worth: Floats, improvement: Improvement) -> Indices:
    """Places of the candidates whose optimistic figures lead the front by the most, weighed by their chance."""
    if len(hopeful) <= SHORTLIST:
        return np.arange(len(hopeful))
    lead = (improvement.reference - hopeful).clip(min=0).prod(axis=1)
    for member in improvement.front:
        ahead = (member - hopeful).max(axis=1).clip(min=0)
        np.minimum(lead, ahead * 10, out=lead)
    return np.argsort(-lead * worth, kind="stable")[:SHORTLIST]


def _reason(view: Outlook, rule: str, row: int, gain: float = 0.0) -> Reason:
    at = np.array([row])
    runs = float(view.runs.chance(at)[0])
    trust = {metric: surrogate.trust for metric, surrogate in view.surrogates.items()}
    return Reason(rule, view.predictions(row), gain, runs * float(view.chance_kept(at)[0]), runs, trust)
