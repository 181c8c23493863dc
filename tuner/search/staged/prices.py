"""What measuring a configuration takes: minutes, GPU-hours, and which of them the budget is short of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tuner.configuration import Configuration
from tuner.evaluators.source import Expected
from tuner.search.staged.stopping import Limits, Spent

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Timing:
    """Minutes that starting a deployment and measuring one load take; learned from trials as they end."""

    start_minutes: float
    window_minutes: float

    @classmethod
    def of(cls, expected: Expected) -> Self:
        """What a source expects, before any was timed."""
        return cls(expected.start_seconds / 60, expected.window_seconds / 60)

    def price(self, gpus: int, *, warm: bool = False) -> Spent:
        """What one trial on so many GPUs takes; a `warm` deployment needs no start."""
        minutes = self.window_minutes + (0.0 if warm else self.start_minutes)
        return Spent(1, minutes, minutes / 60 * gpus)


def learned_timing(starts: Sequence[float], windows: Sequence[float], expected: Timing) -> Timing:
    """The timing that trials showed (minutes): upper quartiles, so that a budget is not overrun; as expected without any."""
    start = float(np.quantile(starts, 0.75)) if len(starts) else expected.start_minutes
    window = float(np.quantile(windows, 0.75)) if len(windows) else expected.window_minutes
    return Timing(start, window)


def row_prices(configurations: Sequence[Configuration], timing: Timing, limits: Limits) -> tuple[Floats, Floats]:
    """Price of every row and the part of it that a warm deployment saves, in what the budget is short of.

    GPU-hours where those are limited, else minutes, else trials (1 each, nothing saved).
    """
    if limits.gpu_hours is None and limits.minutes is None:
        return np.ones(len(configurations)), np.zeros(len(configurations))
    scale = np.ones(len(configurations))
    if limits.gpu_hours is not None:
        scale = np.array([configuration.gpus for configuration in configurations]) / 60.0
    return scale * (timing.start_minutes + timing.window_minutes), scale * timing.start_minutes
