"""The space as the measuring policy sees it: features, builds, loads, and what the simulator says of every row."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.search.staged.encoding import Encoded

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What an earlier job measured of a configuration like a row: log(measured / simulated) by metric and opinion.

    `shift`: what its features are beyond the row's (d). `failed`: it did not run. `log_memory`: what was predicted then, under its workload, as `Landscape.log_memory`.
    """

    row: int
    log_ratios: Mapping[str, tuple[float, ...]]
    shift: Floats
    failed: bool = False
    log_memory: float | None = None


@dataclass(frozen=True, slots=True)
class Landscape:
    """A space of n configurations.

    `log_priors`: natural log of each metric (n) by each simulation of it, absent where there is none. `log_memory`: log of the
    predicted memory over the most that fits (n; above 0 runs out), or `None`. `build`: number of each row's deployment
    (rows that differ in load alone share it). `load`: the load knobs (n × k), each of which takes memory as it grows.
    `price`: predicted price of measuring a row in what the budget is short of (all 1 where trials are); `start_price`:
    the part of it that is saved where the row's deployment is up already.
    """

    encoded: Encoded
    log_priors: Mapping[str, tuple[Floats, ...]]
    log_memory: Floats | None
    build: NDArray[np.int64]
    load: Floats
    price: Floats
    start_price: Floats
    lessons: tuple[Lesson, ...] = ()

    def __len__(self) -> int:
        return len(self.encoded)


def filled(encoded: Encoded, log_values: Floats) -> Floats:
    """The logs with unknown rows (NaN) estimated by a linear fit over the features of the known ones."""
    known = np.isfinite(log_values)
    if known.all() or not known.any():
        return log_values if known.all() else np.zeros(len(log_values))
    design = np.column_stack([np.ones(len(encoded)), encoded.features])
    gram = design[known].T @ design[known] + 1e-6 * np.eye(design.shape[1])
    slope = np.linalg.solve(gram, design[known].T @ log_values[known])
    return np.where(known, log_values, design @ slope)
