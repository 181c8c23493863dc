"""Reads a table of measured points, tells its kind by its header, and writes it back with predictions."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tuner.errors import SpecError
from tuner.simulator.fidelity import energy_table, serving_table
from tuner.simulator.fidelity.cells import Row
from tuner.simulator.fidelity.figures import FAILURE_COLUMN, METRICS, PREDICTED_COLUMNS, Figures, RowResult

FIELD = "--table"


class TableKind(StrEnum):
    """What the rows of a table are."""

    SERVING = "serving"
    ENERGY = "energy"


@dataclass(frozen=True, slots=True)
class MeasuredTable:
    """A table as it was read: its kind, its columns, and its rows in order."""

    kind: TableKind
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path) -> MeasuredTable:
    """The table in a CSV file; raises `SpecError` when it cannot be read, is of neither kind, or has no rows."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            columns = tuple(name.strip() for name in reader.fieldnames or ())
            reader.fieldnames = list(columns)
            rows = tuple(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError.of(FIELD, f"cannot read {path}: {error}; give a CSV file in UTF-8") from None
    kind = _kind(path, frozenset(columns))
    if not rows:
        raise SpecError.of(FIELD, f"{path} has a header and no rows")
    return MeasuredTable(kind, columns, rows)


def write_table(path: Path, table: MeasuredTable, results: Sequence[RowResult], *, corrected: bool) -> None:
    """The table's own columns and rows in order, with the predictions and the failure's kind added."""
    own = [name for name in table.columns if name and name not in (*PREDICTED_COLUMNS, FAILURE_COLUMN)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*own, *PREDICTED_COLUMNS, FAILURE_COLUMN])
        for row, result in zip(table.rows, results, strict=True):
            writer.writerow([*(row.get(name, "") for name in own), *_cells(result, corrected=corrected)])


def final_figures(result: RowResult, *, corrected: bool) -> Figures | None:
    """What is predicted of a row: the calibrated figures where there are some and they are wanted."""
    return result.calibrated if corrected and result.calibrated is not None else result.simulated


def _cells(result: RowResult, *, corrected: bool) -> list[str]:
    found = final_figures(result, corrected=corrected) or Figures()
    values = (found.get(metric) for metric in METRICS)
    failure = "" if result.failure is None else result.failure.kind.value
    return [*("" if value is None else f"{value:.6g}" for value in values), failure]


def _kind(path: Path, columns: frozenset[str]) -> TableKind:
    if columns >= serving_table.HEADER:
        return TableKind.SERVING
    if columns >= energy_table.HEADER:
        return TableKind.ENERGY
    known = " or ".join(", ".join(sorted(header)) for header in (serving_table.HEADER, energy_table.HEADER))
    raise SpecError.of(FIELD, f"the header of {path} is of no known table; a table has the columns {known}")
