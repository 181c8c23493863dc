"""Spreads the first measurements, where no simulator can be believed, over what probably runs."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.search.staged.landscape import Landscape

BLIND_START: Final = 5
"""Measurements (that ran) before improvement is sought without a simulator to believe."""
DOUBTFUL_START: Final = 3
"""The same where there is one that has proved wrong: what showed that counts too."""
_TRIES: Final = 3
"""Rows drawn at random, of which the farthest from those measured is taken (Mitchell's best candidate)."""

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def spread_row(landscape: Landscape, rows: Indices, runs: Floats, taken: Sequence[int], seed: int) -> int:
    """An open row far from those taken, each knob scaled to its range, among those that probably run.

    Not the farthest of all: the corners of a space are where deployments fail.
    """
    likely = rows[runs > 0.5]
    pool = likely if len(likely) else rows
    drawn = np.random.default_rng([seed, len(taken)]).choice(pool, size=min(len(pool), _TRIES), replace=False)
    if not taken:
        return int(drawn[0])
    features = landscape.encoded.features
    span = np.ptp(features, axis=0)
    scaled = features[drawn] / np.where(span > 0, span, 1.0)
    others = features[np.asarray(taken)] / np.where(span > 0, span, 1.0)
    nearest = ((scaled[:, None, :] - others[None, :, :]) ** 2).sum(axis=2).min(axis=1)
    return int(drawn[int(np.argmax(nearest))])
