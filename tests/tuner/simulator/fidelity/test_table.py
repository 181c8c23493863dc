"""Tables: told apart by their header, written back as they were with predictions added."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.errors import SpecError
from tuner.simulator.fidelity.figures import FAILURE_COLUMN, PREDICTED_COLUMNS, Figures, Groups, RowResult
from tuner.simulator.fidelity.table import TableKind, read_table, write_table
from tuner.trial import Failure, FailureKind

MakeRow = Callable[..., dict[str, str]]
WriteCsv = Callable[[list[dict[str, str]]], Path]
GROUPS = Groups("h100_sxm", "fp8", "a/model", "1/1")


def test_the_header_tells_the_kind(serving_row: MakeRow, energy_row: MakeRow, write_csv: WriteCsv) -> None:
    assert read_table(write_csv([serving_row()])).kind is TableKind.SERVING
    assert read_table(write_csv([energy_row()])).kind is TableKind.ENERGY


def test_predictions_are_added_behind_the_tables_own_columns(
    serving_row: MakeRow, write_csv: WriteCsv, tmp_path: Path
) -> None:
    table = read_table(write_csv([serving_row(id="x"), serving_row(id="y"), serving_row(id="z")]))
    results = [
        RowResult(GROUPS, simulated=Figures(ttft_ms=1.5, tpot_ms=2.5)),
        RowResult(GROUPS, failure=Failure(FailureKind.UNSUPPORTED, "no data")),
        RowResult(GROUPS, simulated=Figures(ttft_ms=1.5), calibrated=Figures(ttft_ms=3.0)),
    ]
    out = tmp_path / "out.csv"
    write_table(out, table, results, corrected=True)
    with out.open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert list(written[0]) == [*table.columns, *PREDICTED_COLUMNS, FAILURE_COLUMN]
    assert [row["id"] for row in written] == ["x", "y", "z"]
    assert written[0]["predicted_ttft_ms"] == "1.5"
    assert written[0]["predicted_power_watts_per_gpu"] == ""
    assert written[1]["failure"] == "unsupported"
    assert written[1]["predicted_ttft_ms"] == ""
    assert written[2]["predicted_ttft_ms"] == "3"


def test_a_table_that_holds_predictions_already_gets_new_ones(
    serving_row: MakeRow, write_csv: WriteCsv, tmp_path: Path
) -> None:
    table = read_table(write_csv([serving_row(predicted_ttft_ms="9", failure="lost")]))
    out = tmp_path / "out.csv"
    write_table(out, table, [RowResult(GROUPS, simulated=Figures(ttft_ms=1.0))], corrected=True)
    header, row = out.read_text(encoding="utf-8").splitlines()
    assert header.count("predicted_ttft_ms") == 1
    assert "lost" not in row


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n", "of no known table"),
        ("model_path,system,isl,osl\n", "no rows"),
        ("", "of no known table"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SpecError, match=said):
        read_table(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"gone\.csv"):
        read_table(tmp_path / "gone.csv")


def test_a_short_row_and_a_long_one_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\ufeffmodel_path,system,isl,osl\na,b\nc,d,1,2,3,4\n", encoding="utf-8")
    assert [row["isl"] for row in read_table(path).rows] == ["", "1"]
