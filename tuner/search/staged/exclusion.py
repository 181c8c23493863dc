"""Rows that are not tried again, because they were measured, are being measured, or are like one that failed."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.search.staged.history import Observation
from tuner.search.staged.landscape import Landscape
from tuner.trial import FailureKind

_WHOLE_BUILD: Final = frozenset({FailureKind.UNSUPPORTED})
"""Failures of a deployment, whatever its load."""
_BUILD_WHEN_REPEATED: Final = frozenset({FailureKind.START_TIMEOUT, FailureKind.CRASHED, FailureKind.LOAD_FAILED})
"""Failures that are laid on the deployment once two of its loads, and no other, had them."""
_HEAVIER: Final = frozenset({FailureKind.OUT_OF_MEMORY})
"""Failures that every heavier load of the same deployment shares."""
LOST_TRIES: Final = 2
"""Times that a row is tried whose machine was lost: the fault is not the configuration's."""

Mask = NDArray[np.bool_]


def open_rows(landscape: Landscape, observations: Sequence[Observation], pending: Iterable[int]) -> Mask:
    """Which rows may be proposed."""
    found = np.ones(len(landscape), dtype=bool)
    for observation in observations:
        if observation.failure is not FailureKind.LOST:
            found[observation.row] = False
        if observation.failure in _WHOLE_BUILD and not _ran(landscape, observations, observation.row):
            found &= landscape.build != landscape.build[observation.row]
        elif observation.failure in _HEAVIER:
            found &= ~_at_least_as_heavy(landscape, observation.row)
    for row in _repeated(landscape, observations):
        found &= landscape.build != landscape.build[row]
    lost = [observation.row for observation in observations if observation.failure is FailureKind.LOST]
    found[[row for row in set(lost) if lost.count(row) >= LOST_TRIES]] = False
    found[list(pending)] = False
    return found


def _at_least_as_heavy(landscape: Landscape, row: int) -> Mask:
    same = landscape.build == landscape.build[row]
    return np.asarray(same & (landscape.load >= landscape.load[row]).all(axis=1), dtype=bool)


def _ran(landscape: Landscape, observations: Sequence[Observation], row: int) -> bool:
    return any(other.failure is None and landscape.build[other.row] == landscape.build[row] for other in observations)


def _repeated(landscape: Landscape, observations: Sequence[Observation]) -> list[int]:
    """One row of each deployment that failed under two loads and ran under none."""
    failed: dict[int, set[int]] = {}
    for observation in observations:
        if observation.failure in _BUILD_WHEN_REPEATED:
            failed.setdefault(int(landscape.build[observation.row]), set()).add(observation.row)
    return [min(rows) for rows in failed.values() if len(rows) >= 2 and not _ran(landscape, observations, min(rows))]
