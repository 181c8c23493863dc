"""Several measurements of one row: pooled figures, and when one more is worth its price."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from tuner.search.repeats import BELIEVED_FOR, BELIEVED_NOISE
from tuner.search.staged.history import Goal, Observation
from tuner.search.staged.improvement import hypervolume


def noise_of(observations: Sequence[Observation], metrics: Sequence[str]) -> dict[str, float]:
    """Run-to-run standard deviation (log) of each metric that repeated rows show, drawn towards what is believed while they are few."""
    groups = [group for group in _by_row(observations).values() if len(group) > 1]
    freedom = float(BELIEVED_FOR + sum(len(group) - 1 for group in groups))
    found = {}
    for metric in metrics:
        squares = BELIEVED_FOR * BELIEVED_NOISE**2
        for group in groups:
            logs = np.log([o.values[metric] for o in group if o.values.get(metric, 0.0) > 0])
            squares += float(((logs - logs.mean()) ** 2).sum()) if len(logs) else 0.0
        found[metric] = math.sqrt(squares / freedom)
    return found


def pooled(observations: Sequence[Observation]) -> list[Observation]:
    """One observation a row, geometric means of its measurements; a row that failed every time stays failed."""
    found = []
    for group in _by_row(observations, with_failed=True).values():
        ran = [o for o in group if o.failure is None]
        if len(ran) < 2:
            found.append(ran[0] if ran else group[-1])
            continue
        keys = set.intersection(*(set(o.values) for o in ran))
        means = {key: math.exp(sum(math.log(o.values[key]) for o in ran) / len(ran)) for key in keys}
        found.append(Observation(ran[0].number, ran[0].row, means))
    return sorted(found, key=lambda observation: observation.number)


def worth_repeating(
    observations: Sequence[Observation], goal: Goal, most: int, waiting: Sequence[int] = ()
) -> tuple[int, float] | None:
    """The row whose repeat would tell most, and the share of the hypervolume that hangs on it; `None` for none.

    That is what the row adds to the hypervolume times the chance that it breaks a limit after all.
    """
    known = [o for o in pooled(observations) if o.failure is None and goal.keeps(o.values)]
    points = [[math.log(o.values[m]) for m in goal.objectives] for o in known]
    if not points or most < 2:
        return None
    front = np.array(points)
    reference = front.max(axis=0) + 1e-3
    volume, noise = hypervolume(front, reference), noise_of(observations, goal.metrics)
    best: tuple[int, float] | None = None
    for place, observation in enumerate(known):
        times = sum(o.row == observation.row for o in observations)
        if times >= most or observation.row in waiting or volume <= 0:
            continue
        adds = volume - hypervolume(np.delete(front, place, axis=0), reference)
        at_stake = adds / volume * _chance_of_breaking(observation, goal, noise, times)
        if at_stake > (best[1] if best else 0.0):
            best = (observation.row, at_stake)
    return best


def unconfirmed(observations: Sequence[Observation], goal: Goal, wanted: int = 2) -> list[int]:
    """Rows of the frontier measured fewer than `wanted` times, the one that adds most to the hypervolume first."""
    known = [o for o in pooled(observations) if o.failure is None and goal.keeps(o.values)]
    if not known:
        return []
    front = np.array([[math.log(o.values[m]) for m in goal.objectives] for o in known])
    reference = front.max(axis=0) + 1e-3
    volume = hypervolume(front, reference)
    adds = [volume - hypervolume(np.delete(front, place, axis=0), reference) for place in range(len(front))]
    return [
        known[place].row
        for place in np.argsort(-np.array(adds), kind="stable")
        if adds[place] > 0 and sum(o.row == known[place].row for o in observations) < wanted
    ]


def _chance_of_breaking(observation: Observation, goal: Goal, noise: dict[str, float], times: int) -> float:
    kept = 1.0
    for metric, bound in goal.bounds.items():
        if observation.values.get(metric, 0.0) > 0:
            margin = abs(math.log(bound / observation.values[metric]))
            kept *= float(ndtr(margin / noise[metric] * math.sqrt(times)))
    return 1 - kept


def _by_row(observations: Sequence[Observation], *, with_failed: bool = False) -> dict[int, list[Observation]]:
    found: dict[int, list[Observation]] = {}
    for observation in observations:
        if with_failed or observation.failure is None:
            found.setdefault(observation.row, []).append(observation)
    return found
