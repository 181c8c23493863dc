"""Trials as a table: the columns of `trials.csv` and `frontier.csv`."""

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

from tuner.cells import cell
from tuner.configuration import KNOBS
from tuner.metrics import METRICS
from tuner.trial import Trial


def trial_columns(own: Sequence[str] = ()) -> tuple[str, ...]:
    """Number, state, failure kind, knobs, metrics in the units of their names, and each metric's provenance.

    `own`: the engine's own knobs, which follow the common ones.
    """
    return ("number", "state", "failure", *KNOBS, *own, *METRICS, *(f"provenance_{key}" for key in METRICS))


def trial_row(trial: Trial, own: Sequence[str] = ()) -> list[str]:
    """The cells of a trial in the order of `trial_columns`; what is not known is an empty cell."""
    return [
        str(trial.number),
        trial.state.value,
        trial.failure.kind.value if trial.failure is not None else "",
        *(cell(trial.configuration.knob(knob)) for knob in (*KNOBS, *own)),
        *(cell(trial.metrics.get(metric)) for metric in METRICS),
        *(trial.provenance[metric].value if metric in trial.provenance else "" for metric in METRICS),
    ]


def write_trials(file: TextIO, trials: Iterable[Trial], own: Sequence[str] = ()) -> None:
    """Writes the header and one row per trial as it comes; the file was opened with `newline=""`.

    `own`: the engine's own knobs that the trials may have, in the order of their columns.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(trial_columns(own))
    writer.writerows(trial_row(trial, own) for trial in trials)
