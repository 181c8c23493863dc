"""Makes the landscape of a space from its configurations and what the simulator says of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.configuration import Configuration, knobs_of
from tuner.search.staged.encoding import encode
from tuner.search.staged.landscape import Landscape, filled

Floats = NDArray[np.float64]

LOAD_KNOBS: Final = ("concurrency", "max_batch_size", "max_num_tokens")
"""Knobs of the load: each takes memory as it grows, none needs another engine."""
_OTHER_LOAD: Final = ("chunked_prefill", "power_limit_watts", "gpu_clock_mhz", "replicas")
_FULL_SHARE: Final = 0.93
"""Share of a GPU's memory above which deployments fail, where no simulated row shows it."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one simulation says of every row: its metrics (empty: none)."""

    rows: Sequence[Mapping[str, float]]


def survey(
    configurations: Sequence[Configuration],
    metrics: Sequence[str],
    opinions: Sequence[Opinion] = (),
    memory_shares: Sequence[float | None] = (),
    runs: Sequence[bool | None] = (),
    prices: tuple[Floats, Floats] | None = None,
) -> Landscape:
    """The landscape of some configurations, by the metrics that decide.

    `memory_shares`: predicted memory over what a GPU has; `runs`: whether the simulator says that it fits; `prices`:
    see `prices.row_prices`; every row 1 without.
    """
    columns = {knob: [c.knob(knob) for c in configurations] for knob in knobs_of(configurations)}
    encoded = encode(columns, len(configurations))
    priors: dict[str, tuple[Floats, ...]] = {}
    for metric in metrics:
        known = [logs for opinion in opinions if np.isfinite(logs := _logs(opinion, metric)).any()]
        if known:
            priors[metric] = tuple(filled(encoded, logs) for logs in known)
    return Landscape(
        encoded,
        priors,
        _log_memory(memory_shares, runs) if len(memory_shares) else None,
        _builds(configurations),
        np.array([[getattr(c, knob) or 0 for knob in LOAD_KNOBS] for c in configurations], dtype=np.float64),
        *(prices if prices is not None else (np.ones(len(configurations)), np.zeros(len(configurations)))),
    )


def _logs(opinion: Opinion, metric: str) -> Floats:
    values = np.array([row.get(metric, np.nan) for row in opinion.rows], dtype=np.float64)
    return np.log(np.where(values > 0, values, np.nan))


def _log_memory(shares: Sequence[float | None], runs: Sequence[bool | None]) -> Floats:
    """Log of the predicted memory over the most that fits; the simulator's own verdicts tell how much that is."""
    known = np.array([np.nan if share is None else share for share in shares], dtype=np.float64)
    fits = np.array([verdict is True for verdict in runs]) & np.isfinite(known)
    fails = np.array([verdict is False for verdict in runs]) & np.isfinite(known)
    full = _FULL_SHARE
    if fits.any() and fails.any():
        full = float((np.quantile(known[fits], 0.995) + np.quantile(known[fails], 0.005)) / 2)
    logs = np.log(known / full)
    return np.where(np.isfinite(logs), logs, np.log(1.2))


def _builds(configurations: Sequence[Configuration]) -> NDArray[np.int64]:
    knobs = [knob for knob in knobs_of(configurations) if knob not in {*LOAD_KNOBS, *_OTHER_LOAD}]
    numbers: dict[tuple[object, ...], int] = {}
    return np.array(
        [numbers.setdefault(tuple(c.knob(knob) for knob in knobs), len(numbers)) for c in configurations],
        dtype=np.int64,
    )
