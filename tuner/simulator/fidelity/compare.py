"""Errors of predictions against measured points: overall, and by GPU, precision, model and lengths."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuner.simulator.fidelity.figures import METRICS, Figures, Groups, RowResult

GROUPINGS = ("gpu", "precision", "model", "lengths")
VARIANTS = ("calibrated", "simulated", "formula")


@dataclass(frozen=True, slots=True)
class Errors:
    """Relative errors of one metric over `count` rows, as fractions (0.1: 10 %).

    `mean_absolute` (MAPE) and `median_absolute` of |predicted / measured - 1|; `bias`: the mean of
    predicted / measured - 1, above zero where predictions are too high; `typical_factor`: exp of the mean log ratio.
    """

    metric: str
    count: int
    mean_absolute: float
    median_absolute: float
    bias: float
    typical_factor: float


Variant = Callable[[RowResult], Figures | None]


def variant(name: str) -> Variant:
    """Reads one kind of prediction (of `VARIANTS`) from a row."""
    return lambda result: getattr(result, name)


def errors(results: Sequence[RowResult], predicted: Variant) -> list[Errors]:
    """Errors of every metric that was both measured and predicted."""
    found = (_errors(metric, _ratios(results, metric, predicted)) for metric in METRICS)
    return [entry for entry in found if entry is not None]


def grouped(results: Sequence[RowResult], grouping: str, predicted: Variant) -> dict[str, list[Errors]]:
    """Errors by a field of `Groups`, the largest groups first."""
    groups: dict[str, list[RowResult]] = {}
    for result in results:
        groups.setdefault(group_of(result.groups, grouping), []).append(result)
    found = {name: errors(members, predicted) for name, members in groups.items()}
    return dict(sorted(((name, listed) for name, listed in found.items() if listed), key=lambda item: -_most(item[1])))


def group_of(groups: Groups, grouping: str) -> str:
    """One field of `Groups`."""
    value: str = getattr(groups, grouping)
    return value or "not named"


def _most(listed: Sequence[Errors]) -> int:
    return max(entry.count for entry in listed)


def _ratios(results: Sequence[RowResult], metric: str, predicted: Variant) -> list[float]:
    ratios = []
    for result in results:
        figures = predicted(result)
        said, measured = None if figures is None else figures.get(metric), result.measured.get(metric)
        if said is not None and measured is not None and said > 0 and math.isfinite(said):
            ratios.append(said / measured)
    return ratios


def _errors(metric: str, ratios: Sequence[float]) -> Errors | None:
    if not ratios:
        return None
    absolute = [abs(ratio - 1.0) for ratio in ratios]
    return Errors(
        metric=metric,
        count=len(ratios),
        mean_absolute=statistics.fmean(absolute),
        median_absolute=statistics.median(absolute),
        bias=statistics.fmean(ratios) - 1.0,
        typical_factor=math.exp(statistics.fmean(math.log(ratio) for ratio in ratios)),
    )


def pairs_by_group(
    results: Sequence[RowResult], metric: str, grouping: str, predicted: Variant, most: int
) -> dict[str, list[tuple[float, float]]]:
    """(measured, predicted) of one metric by group; beyond `most` groups, the smaller ones are thrown together."""
    found: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        figures = predicted(result)
        said, measured = None if figures is None else figures.get(metric), result.measured.get(metric)
        if said is not None and measured is not None:
            found.setdefault(group_of(result.groups, grouping), []).append((measured, said))
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    kept = dict(ordered[:most] if len(ordered) <= most else ordered[: most - 1])
    rest = [pair for name, pairs in ordered if name not in kept for pair in pairs]
    return {**kept, "others": rest} if rest else kept
