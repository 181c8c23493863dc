"""What is believed of a metric before anything was measured: how wrong the simulator is, how smooth its error.

Known errors are standard deviations of log(measured / simulated) on real GPUs (wheel's `silicon_sample.csv`,
2026-11: TPOT 0.17, TTFT 0.45, throughput 0.18); energy adds that of the power model.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.metrics import METRICS, Kind
from tuner.search.repeats import BELIEVED_NOISE
from tuner.search.staged.encoding import WORKLOAD, Encoded
from tuner.search.staged.gaussian_process import Beliefs, Kernel

TPOT_ERROR: Final = 0.17
TTFT_ERROR: Final = 0.45
RATE_ERROR: Final = 0.18
POWER_ERROR: Final = 0.18
MEMORY_ERROR: Final = 0.06
ROUGHNESS: Final = 0.2
"""Share of the simulator's error that no neighbour tells: kernels chosen by shape, steps of the scheduler."""
LENGTH_SHARE: Final = 0.45
"""Share of a count's range over which the simulator's error stays alike, by the likelihood of the wheel's samples."""
SHORTEST: Final = 1.0
LONGEST: Final = 4.0
"""Least and most of that, in doublings."""
WORKLOAD_LENGTH: Final = 4.0
"""Doublings of prompt or output length over which it stays alike, from job to job."""
COUNT_LENGTH: Final = 2.5
"""Doublings of a count over which what runs stays alike."""
CATEGORY_LENGTH: Final = 1.0
"""The same between values of a category, where one step is 1."""
_BY_KIND: Final = {
    Kind.COST: RATE_ERROR,
    Kind.THROUGHPUT: RATE_ERROR,
    Kind.ENERGY: math.hypot(RATE_ERROR, POWER_ERROR),
    Kind.CARBON: math.hypot(RATE_ERROR, POWER_ERROR),
    Kind.POWER: POWER_ERROR,
    Kind.MEMORY: MEMORY_ERROR,
}


def known_error(metric: str) -> float:
    """Standard deviation of log(measured / simulated) that is expected of a metric."""
    found = METRICS.get(metric)
    if found is not None and found.kind in _BY_KIND:
        return _BY_KIND[found.kind]
    return TTFT_ERROR if metric.startswith("ttft") else TPOT_ERROR


def residual_beliefs(metric: str, encoded: Encoded) -> Beliefs:
    """Beliefs of log(measured / simulated), where the simulator is what it was elsewhere."""
    error = known_error(metric)
    rough = max(BELIEVED_NOISE, ROUGHNESS * error)
    kernel = Kernel(error, error, 0.0, rough, _lengths(encoded))
    return Beliefs(kernel, amplitude_spread=0.4, noise_spread=0.5, length_spread=0.7)


def plain_beliefs(encoded: Encoded) -> Beliefs:
    """Beliefs of log(measured) alone: linear in the features (some 30 % a doubling, give or take), with a smooth rest."""
    kernel = Kernel(0.8, 2.0, 0.3, 0.05, _lengths(encoded))
    return Beliefs(kernel, amplitude_spread=0.7, noise_spread=0.7, length_spread=0.7)


def _lengths(encoded: Encoded) -> NDArray[np.float64]:
    return np.array([_length(*knob) for knob in zip(encoded.knobs, encoded.spans, encoded.is_count, strict=True)])


def _length(knob: str, span: float, is_count: bool) -> float:
    if knob in WORKLOAD:
        return WORKLOAD_LENGTH
    return float(np.clip(LENGTH_SHARE * span, SHORTEST, LONGEST)) if is_count else CATEGORY_LENGTH
