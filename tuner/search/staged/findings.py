"""What a measuring run teaches beside its trials: calibrated figures of the rest, and how wrong the predictions were."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from tuner.configuration import Configuration
from tuner.search.staged.history import Goal, Observation, Reason
from tuner.search.staged.landscape import Landscape
from tuner.search.staged.outlook import Outlook, outlook
from tuner.search.staged.repeats import pooled
from tuner.search.study import Accuracy, Drift, PredictedRow
from tuner.trial import Measurement

MOST_PREDICTIONS: Final = 5_000
"""Rows kept of a large space: those whose calibrated objectives come nearest to the frontier."""


def simulated_at(landscape: Landscape, row: int) -> dict[str, float]:
    """What the simulator itself said of a row, in the metrics' own units."""
    return {metric: float(np.exp(opinions[0][row])) for metric, opinions in landscape.log_priors.items()}


def predictions(
    landscape: Landscape, goal: Goal, rows: Sequence[Configuration], observations: Sequence[Observation]
) -> tuple[PredictedRow, ...]:
    """The rows that were not measured, those nearest to the frontier first."""
    wide = Goal(tuple(dict.fromkeys((*goal.objectives, *landscape.log_priors))), goal.bounds)
    told = pooled(observations)
    view = outlook(landscape, wide, told)
    measured = {observation.row for observation in observations}
    rest = np.array([row for row in range(len(rows)) if row not in measured], dtype=np.int64)
    if len(rest) == 0 or not told:
        return ()
    narrow = Outlook(goal, view.surrogates, view.runs)
    chances = narrow.runs.chance(rest) * narrow.chance_kept(rest)
    lead = _distance(narrow.objectives(rest)[0], _front(goal, told))
    order = np.argsort(lead - np.minimum(chances, 0.5), kind="stable")[:MOST_PREDICTIONS]
    return tuple(_predicted(landscape, view, rows, int(rest[place]), float(chances[place])) for place in order)


def _predicted(
    landscape: Landscape, view: Outlook, rows: Sequence[Configuration], row: int, chance: float
) -> PredictedRow:
    found = view.predictions(row)
    return PredictedRow(
        rows[row],
        simulated_at(landscape, row),
        {metric: prediction.value for metric, prediction in found.items()},
        {metric: (prediction.low, prediction.high) for metric, prediction in found.items()},
        chance,
    )


def _front(goal: Goal, told: Sequence[Observation]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    points = [
        [math.log(observation.values[metric]) for metric in goal.objectives]
        for observation in told
        if observation.failure is None
        and goal.keeps(observation.values)
        and all(observation.values.get(metric, 0.0) > 0 for metric in goal.objectives)
    ]
    return np.array(points, dtype=np.float64).reshape(len(points), len(goal.objectives))


def _distance(
    means: np.ndarray[tuple[int, ...], np.dtype[np.float64]], front: np.ndarray[tuple[int, int], np.dtype[np.float64]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """How far (log) each row is behind the front: below 0 it would join it."""
    if len(front) == 0:
        return np.asarray(means.sum(axis=1), dtype=np.float64)
    behind = np.full(len(means), -np.inf)
    for member in front:
        np.maximum(behind, (means - member).min(axis=1), out=behind)
    return behind


def accuracy(
    landscape: Landscape, observations: Sequence[Observation], reasons: Mapping[int, Reason]
) -> tuple[Accuracy, ...]:
    """How wrong the simulator, and the predictions made before each measurement, were on this machine."""
    metrics = dict.fromkeys((*landscape.log_priors, *(m for reason in reasons.values() for m in reason.predicted)))
    found = []
    for metric in metrics:
        known = [o for o in observations if o.failure is None and o.values.get(metric, 0.0) > 0]
        if not known:
            continue
        raw = [
            float(landscape.log_priors[metric][0][o.row]) - math.log(o.values[metric])
            for o in known
            if metric in landscape.log_priors
        ]
        foreseen = [
            reasons[o.number].predicted[metric].value / o.values[metric] - 1
            for o in known
            if o.number in reasons and metric in reasons[o.number].predicted
        ]
        found.append(
            Accuracy(
                metric,
                len(known),
                float(np.median(np.abs(np.expm1(raw)))) if raw else None,
                float(np.expm1(np.mean(raw))) if raw else None,
                float(np.median(np.abs(foreseen))) if foreseen else None,
            )
        )
    return tuple(found)


def drift(before: Measurement, after: Measurement, metrics: Sequence[str]) -> tuple[Drift, ...]:
    """What the reference configuration was before and after the series.

    A change is real where it is larger than both intervals together allow (their half widths, added in squares).
    """
    found = []
    for metric in metrics:
        if metric in before.metrics and metric in after.metrics:
            one, two = before.metrics[metric], after.metrics[metric]
            reach = math.hypot(_half_width(before, metric), _half_width(after, metric))
            found.append(Drift(metric, one, two, abs(two - one) > reach > 0))
    return tuple(found)


def _half_width(measurement: Measurement, metric: str) -> float:
    interval = measurement.intervals.get(metric)
    return (interval[1] - interval[0]) / 2 if interval else 0.0
