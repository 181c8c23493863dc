"""Configurations as numbers: one column a count (its log2) or switch, one a value of each category."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.configuration import KnobValue

Floats = NDArray[np.float64]

CATEGORY_STEP: Final = 1.0
"""Distance between two values of a category, in the same unit as one doubling of a count."""
WORKLOAD: Final = ("input_tokens", "output_tokens")
"""Lengths of a workload, as knobs beside those of the configuration where other jobs have other ones."""
_DEPENDENT: Final = {"max_batch_size": "concurrency"}
"""Knobs that say nothing more where they are in step with another: their column would count that one twice."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Configurations (n) as features (n × d); `groups[j]` is the number of the knob that column j belongs to.

    `knobs` names the groups; `is_count` marks those whose column is a log2, in doublings.
    """

    features: Floats
    groups: NDArray[np.int64]
    knobs: tuple[str, ...]
    is_count: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.features)

    @property
    def spans(self) -> tuple[float, ...]:
        """How far each knob's values reach (doublings of a count, steps of a category)."""
        reach = np.ptp(self.features, axis=0) if len(self.features) else np.zeros(len(self.groups))
        return tuple(float(reach[self.groups == group].max()) for group in range(len(self.knobs)))


def encode(columns: Mapping[str, Sequence[KnobValue | None]], count: int) -> Encoded:
    """The features of `count` configurations given knob by knob; knobs that do not vary are left out."""
    features: list[Floats] = []
    groups: list[int] = []
    knobs: list[str] = []
    counts: list[bool] = []
    for knob, values in columns.items():
        found, is_count = _column(values)
        if not found or _in_step(knob, found, knobs, features, groups):
            continue
        groups += [len(knobs)] * len(found)
        features += found
        knobs.append(knob)
        counts.append(is_count)
    stacked = np.stack(features, axis=1) if features else np.zeros((count, 0))
    return Encoded(stacked, np.array(groups, dtype=np.int64), tuple(knobs), tuple(counts))


def with_workload(encoded: Encoded) -> Encoded:
    """The features with a column for each length of the workload, in doublings from this job's own (0 in every row)."""
    groups = np.concatenate([encoded.groups, len(encoded.knobs) + np.arange(len(WORKLOAD))])
    features = np.concatenate([encoded.features, np.zeros((len(encoded), len(WORKLOAD)))], axis=1)
    both = (True,) * len(WORKLOAD)
    return Encoded(features, groups, (*encoded.knobs, *WORKLOAD), (*encoded.is_count, *both))


def _column(values: Sequence[KnobValue | None]) -> tuple[list[Floats], bool]:
    """The columns of one knob, centred; none where it does not vary."""
    kinds = set(map(type, values))
    if kinds <= {int, float}:
        numbers = np.asarray(values, dtype=np.float64)
        logs: Floats = np.log2(np.maximum(numbers, 1e-9)) if numbers.min() > 0 else np.log2(1 + np.maximum(numbers, 0))
        centred: Floats = logs - float(logs.min() + logs.max()) / 2
        return ([centred] if np.ptp(logs) > 0 else []), True
    distinct = sorted(set(values), key=str)
    if len(distinct) < 2:
        return [], False
    place = {value: number for number, value in enumerate(distinct)}
    codes = np.fromiter((place[value] for value in values), dtype=np.int64, count=len(values))
    if len(distinct) == 2:
        switch: Floats = CATEGORY_STEP * (codes.astype(np.float64) - 0.5)
        return [switch], False
    return [(codes == code) * (CATEGORY_STEP / 2**0.5) for code in range(len(distinct))], False


def _in_step(knob: str, found: list[Floats], knobs: list[str], features: list[Floats], groups: list[int]) -> bool:
    other = _DEPENDENT.get(knob)
    if other not in knobs:
        return False
    column = features[groups.index(knobs.index(other))]
    return len(found) == 1 and bool(np.allclose(found[0] - found[0].mean(), column - column.mean(), atol=0.5))
