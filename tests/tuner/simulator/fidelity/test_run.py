"""Whole tables: every row has its result, in order, whatever is wrong with the others."""

from collections.abc import Callable
from pathlib import Path

from tuner.simulator.fidelity.run import predict_table
from tuner.simulator.fidelity.table import read_table
from tuner.trial import FailureKind

MakeRow = Callable[..., dict[str, str]]
WriteCsv = Callable[[list[dict[str, str]]], Path]


def test_broken_rows_leave_the_others_alone(serving_row: MakeRow, write_csv: WriteCsv) -> None:
    rows = [serving_row(system="tpu"), serving_row(isl="many"), serving_row(), serving_row(osl="64")]
    told: list[tuple[int, int]] = []
    results = predict_table(read_table(write_csv(rows)), lambda done, total: told.append((done, total)), processes=1)
    assert [result.failure.kind if result.failure else None for result in results] == [
        FailureKind.UNSUPPORTED,
        FailureKind.UNSUPPORTED,
        None,
        None,
    ]
    assert [result.problem is not None for result in results] == [False, True, False, False]
    assert [result.groups.lengths for result in results[2:]] == ["256/32", "256/64"]
    assert told[-1] == (4, 4)


def test_a_power_table_needs_no_processes(energy_row: MakeRow, write_csv: WriteCsv) -> None:
    results = predict_table(read_table(write_csv([energy_row(), energy_row(gpu_model="x")])), lambda *_: None)
    assert results[0].simulated is not None
    assert "gpu_model" in (results[1].problem or "")
