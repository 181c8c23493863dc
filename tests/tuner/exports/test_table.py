"""Trials as CSV: the columns, and how a value is written."""

import csv
import dataclasses
import io
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.configuration import KNOBS
from tuner.exports import ExportContext, export
from tuner.exports.table import TRIAL_COLUMNS, cell, trial_row, write_trials
from tuner.metrics import METRICS

MakeContext = Callable[..., ExportContext]


@pytest.mark.parametrize(
    ("value", "text"),
    [(8, "8"), (8.0, "8"), (0.5, "0.5"), (True, "true"), (False, "false"), (None, ""), ("fp8", "fp8"), (math.nan, "")],
)
def test_a_value_is_written_as_the_contract_says(value: str | float | None, text: str) -> None:
    """Given a value, integers have no point, booleans are words, and the unknown is empty."""
    assert cell(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_it_was(number: float) -> None:
    """Given any number, its cell reads back as the same number."""
    assert float(cell(number)) == number


def test_the_columns_are_number_state_failure_knobs_metrics_and_provenance() -> None:
    """Given the columns, each name is there once, in the order of the contract."""
    assert TRIAL_COLUMNS[:3] == ("number", "state", "failure")
    assert TRIAL_COLUMNS[3 : 3 + len(KNOBS)] == KNOBS
    assert len(set(TRIAL_COLUMNS)) == len(TRIAL_COLUMNS) == 3 + len(KNOBS) + 2 * len(METRICS)


def test_trials_read_back_by_column(make_context: MakeContext) -> None:
    """Given trials, when their table is read, each cell is under its name, and what is unknown is empty."""
    trial = make_context(attention_dp=True, tensor_parallel=2).trial
    file = io.StringIO(newline="")
    write_trials(file, [trial, dataclasses.replace(trial, number=13, metrics={}, provenance={})])
    first, second = csv.DictReader(io.StringIO(file.getvalue()))
    assert (first["number"], first["state"], first["failure"]) == ("12", "complete", "")
    assert (first["attention_dp"], first["cuda_graphs"], first["tensor_parallel"]) == ("true", "true", "2")
    assert (first["requests_per_second"], first["provenance_requests_per_second"]) == ("12", "modelled")
    assert (first["ttft_p95_ms"], first["max_batch_size"]) == ("", "")
    assert (second["number"], second["tpot_mean_ms"], second["provenance_tpot_mean_ms"]) == ("13", "", "")


def test_the_export_is_the_row_of_the_table_with_its_job(make_context: MakeContext) -> None:
    """Given a trial, its CSV has the columns of trials.csv, then job, model and pick."""
    context = make_context()
    header, row = csv.reader(io.StringIO(export("csv", context).text))
    assert header == [*TRIAL_COLUMNS, "job", "model", "pick"]
    assert row == [*trial_row(context.trial), "job-7", "meta-llama/Llama-3.1-8B-Instruct", "cheapest"]
