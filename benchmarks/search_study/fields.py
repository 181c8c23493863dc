"""Smooth random errors over a grid of configurations: sums of random Fourier features."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_WAVES: Final = 400
_COUNT_LENGTH: Final = 0.42
"""Share of a count's range over which an error stays alike: what likelihood finds in the shared tables (TP 0.5,
concurrency 0.4, token budget 0.8) and in the wheel's silicon samples (TP 0.7, concurrency 0.5)."""
_CATEGORY_LENGTH: Final = 0.85
"""The same between values of a category, where one step is 1."""
_LENGTH_SPREAD: Final = 0.3
"""Standard deviation of a length's log from landscape to landscape."""
_MATERN_SHARE: Final = 0.4
"""Share of landscapes whose errors are rough (Matérn-5/2), as TTFT is on silicon; the others are as smooth as can be."""


@dataclass(frozen=True, slots=True)
class Smoothness:
    """How the errors of one landscape vary: the length of every knob, and whether they are rough."""

    lengths: Floats
    rough: bool

    @classmethod
    def drawn(cls, random: np.random.Generator, is_count: tuple[bool, ...]) -> "Smoothness":
        """One landscape's smoothness."""
        middle = np.where(is_count, _COUNT_LENGTH, _CATEGORY_LENGTH)
        return cls(
            np.asarray(middle * np.exp(random.normal(0, _LENGTH_SPREAD, len(middle))), dtype=np.float64),
            bool(random.random() < _MATERN_SHARE),
        )


def field(random: np.random.Generator, smoothness: Smoothness, groups: NDArray[np.int64]) -> Callable[[Floats], Floats]:
    """A random field of standard deviation 1 over features (n × d), counts scaled to their range.

    Spectral densities: Rasmussen & Williams 2006, section 4.2.1; Matérn-5/2's is a Student t of 5 degrees of freedom.
    """
    lengths = smoothness.lengths[groups]
    waves = random.normal(size=(len(groups), _WAVES)) / lengths[:, None]
    if smoothness.rough:
        waves = waves / np.sqrt(random.chisquare(5, size=_WAVES) / 5)
    phases, heights = random.uniform(0, 2 * np.pi, _WAVES), random.normal(size=_WAVES)

    def values(features: Floats) -> Floats:
        return np.asarray(np.cos(features @ waves + phases) @ heights * np.sqrt(2 / _WAVES), dtype=np.float64)

    return values
