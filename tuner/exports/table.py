"""Trials as a table: the columns of `trials.csv` and `frontier.csv`."""

import csv
import math
from collections.abc import Iterable
from typing import Final, TextIO

from tuner.configuration import KNOBS
from tuner.metrics import METRICS
from tuner.trial import Trial

Cell = str | int | float | bool | None

TRIAL_COLUMNS: Final = (
    "number",
    "state",
    "failure",
    *KNOBS,
    *METRICS,
    *(f"provenance_{metric}" for metric in METRICS),
)
"""Number, state, failure kind, knobs, metrics in the units of their names, and each metric's provenance."""


def trial_row(trial: Trial) -> list[str]:
    """The cells of a trial in the order of `TRIAL_COLUMNS`; what is not known is an empty cell."""
    return [
        str(trial.number),
        trial.state.value,
        trial.failure.kind.value if trial.failure is not None else "",
        *(cell(getattr(trial.configuration, knob)) for knob in KNOBS),
        *(cell(trial.metrics.get(metric)) for metric in METRICS),
        *(trial.provenance[metric].value if metric in trial.provenance else "" for metric in METRICS),
    ]


def write_trials(file: TextIO, trials: Iterable[Trial]) -> None:
    """Writes the header and one row per trial; the file was opened with `newline=""`."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(TRIAL_COLUMNS)
    writer.writerows(map(trial_row, trials))


def cell(value: Cell) -> str:
    """A value as CSV text: integers without a point, booleans as `true` and `false`, the unknown empty."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)
