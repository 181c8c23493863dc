"""When to stop measuring: hard budgets, and the plateau of the hypervolume."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PLATEAU_GROWTH: Final = 0.002
"""Relative growth of the hypervolume over the patience below which the search stands on a plateau."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used or is bound by trials in flight: trials (count), minutes, GPU-hours."""

    trials: int = 0
    minutes: float = 0.0
    gpu_hours: float = 0.0

    def plus(self, other: "Spent") -> "Spent":
        """Both together."""
        return Spent(self.trials + other.trials, self.minutes + other.minutes, self.gpu_hours + other.gpu_hours)


NOTHING: Final = Spent()


@dataclass(frozen=True, slots=True)
class Limits:
    """The budget; `None` is without limit. `patience`: measurements without growth after which to stop."""

    trials: int | None = None
    minutes: float | None = None
    gpu_hours: float | None = None
    patience: int | None = None


def share_of(limits: Limits, share: float) -> Spent:
    """A share (0 to 1) of each budget that there is; trials are rounded up."""
    trials = math.ceil((limits.trials or 0) * share)
    return Spent(trials, (limits.minutes or 0.0) * share, (limits.gpu_hours or 0.0) * share)


def exceeded(limits: Limits, spent: Spent, price: Spent) -> str | None:
    """The name of the budget that a trial of this price would break; `None` when it fits."""
    after = spent.plus(price)
    for name in ("trials", "minutes", "gpu_hours"):
        limit = getattr(limits, name)
        if limit is not None and getattr(after, name) > limit * (1 + 1e-9):
            return name
    return None


def on_plateau(hypervolumes: Sequence[float], patience: int | None) -> bool:
    """Whether the hypervolume (after each measurement, in order) has stopped growing for `patience` measurements.

    Not before anything feasible was found.
    """
    if patience is None or len(hypervolumes) <= patience or hypervolumes[-1] <= 0:
        return False
    before = hypervolumes[-1 - patience]
    return before > 0 and hypervolumes[-1] / before - 1 < PLATEAU_GROWTH
