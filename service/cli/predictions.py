"""predictions.csv: what is expected of the configurations that a job did not measure."""

import csv
from collections.abc import Iterable
from pathlib import Path

from service.client.answers import PredictionAnswer
from tuner.cells import cell
from tuner.configuration import KNOBS
from tuner.metrics import METRICS, Provenance


def write_predictions(path: Path, predictions: Iterable[PredictionAnswer]) -> None:
    """Writes one row a configuration, those nearest to the frontier first; no file where there are none.

    Of each metric: the calibrated figure with its provenance, the ends of its 90 % interval, and what was simulated.
    """
    rows = list(predictions)
    if not rows:
        return
    known = [metric for metric in METRICS if any(metric in row["calibrated"] for row in rows)]
    own = sorted({knob for row in rows for knob in row["configuration"]} - set(KNOBS))
    knobs = [*KNOBS, *own]
    columns = [name for metric in known for name in (metric, *_beside(metric))]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*knobs, "chance_feasible", *columns])
        for row in rows:
            cells = [cell(row["configuration"].get(knob)) for knob in knobs]
            writer.writerow([*cells, cell(row["chance_feasible"]), *(c for m in known for c in _cells(row, m))])


def _beside(metric: str) -> tuple[str, str, str, str]:
    return f"provenance_{metric}", f"low_{metric}", f"high_{metric}", f"simulated_{metric}"


def _cells(row: PredictionAnswer, metric: str) -> list[str]:
    value, ends = row["calibrated"].get(metric), row["intervals"].get(metric, (None, None))
    source = Provenance.CALIBRATED.value if value is not None else ""
    return [cell(value), source, cell(ends[0]), cell(ends[1]), cell(row["simulated"].get(metric))]
