"""Trials as CSV: the columns, and how a value is written."""

import csv
import dataclasses
import io
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tuner.exports.conftest import COMMAND
from tuner.cells import cell
from tuner.configuration import KNOBS, Configuration, KnobValue
from tuner.economics.cost import Tokens
from tuner.exports import ExportContext, export
from tuner.exports.table import trial_columns, trial_row, write_trials
from tuner.metrics import METRICS, Provenance
from tuner.space.own_knobs import own_knobs
from tuner.space.replay_table import read_table
from tuner.spec import Pricing
from tuner.trial import Failure, FailureKind, TrialState

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
    assert trial_columns()[:3] == ("number", "state", "failure")
    assert trial_columns()[3 : 3 + len(KNOBS)] == KNOBS
    assert len(set(trial_columns())) == len(trial_columns()) == 3 + len(KNOBS) + 2 * len(METRICS)


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


def test_own_knobs_follow_the_common_ones(make_context: MakeContext) -> None:
    """Given an engine's own knobs, their columns stand between the common knobs and the metrics, empty where unset."""
    trial = make_context(engine="llama.cpp", threads=2, flash_attention=True).trial
    file = io.StringIO(newline="")
    write_trials(file, [trial], ("flash_attention", "micro_batch", "threads"))
    header, row = csv.reader(io.StringIO(file.getvalue()))
    start = 3 + len(KNOBS)
    assert header[start - 1 : start + 4] == [
        KNOBS[-1],
        "flash_attention",
        "micro_batch",
        "threads",
        next(iter(METRICS)),
    ]
    assert row[start : start + 3] == ["true", "", "2"]


def test_the_export_has_the_columns_of_its_own_knobs(make_context: MakeContext) -> None:
    """Given a trial with knobs of its engine, its CSV has them where trials.csv has them."""
    context = make_context(engine="llama.cpp", threads=2, flash_attention=True)
    header, row = csv.reader(io.StringIO(export("csv", context).text))
    assert header == [*trial_columns(("flash_attention", "threads")), "job", "model", "pick"]
    assert row[header.index("threads")] == "2"


@pytest.mark.parametrize(
    ("engine", "rows"),
    [
        ("llama.cpp", [{"threads": 2, "flash_attention": True, "micro_batch": 64}, {"threads": 1, "micro_batch": 512}]),
        ("vllm", [{"gpu_memory_utilization": 0.5, "block_size": 16}, {"gpu_memory_utilization": 1.0}]),
        ("command", [{"depth": 3, "share": 0.25, "fast": True, "kernel": "3"}, {"depth": 1, "kernel": "exact"}]),
    ],
)
def test_trials_read_back_as_a_replay_table(
    make_context: MakeContext, tmp_path: Path, engine: str, rows: list[dict[str, KnobValue]]
) -> None:
    """Given measured trials, their table holds the same configurations, figures, provenance and failures."""
    given = {"depth": (1, 3), "share": (0.25,), "fast": (True,), "kernel": ("3", "exact")}
    knobs = [knob for knob in own_knobs(engine, given=given) if not knob.is_common]
    metrics = {"tpot_mean_ms": 12.345678901234567, "goodput_requests_per_second": 0.0, "power_watts_per_gpu": 300.0}
    provenance = {
        "tpot_mean_ms": Provenance.MEASURED,
        "goodput_requests_per_second": Provenance.MEASURED,
        "power_watts_per_gpu": Provenance.MODELLED,
    }
    plain = make_context(COMMAND if engine == "command" else None, engine=engine).trial
    trials = [
        dataclasses.replace(
            plain, number=number, configuration=made(engine, row), metrics=metrics, provenance=provenance
        )
        for number, row in enumerate(rows)
    ]
    lost = dataclasses.replace(
        trials[0], state=TrialState.FAILED, metrics={}, provenance={}, failure=Failure(FailureKind.TOO_SLOW, "slow")
    )
    names = sorted(knob.name for knob in knobs)
    file = tmp_path / "trials.csv"
    with file.open("w", newline="") as opened:
        write_trials(opened, [*trials, lost], names)

    table = read_table(file, Configuration("tensorrt-llm", "h100_sxm"), Tokens(100, 10), Pricing(), knobs)

    assert [configuration for configuration, _ in table.rows] == [trial.configuration for trial in [*trials, lost]]
    for (configuration, _), row in zip(table.rows, rows, strict=False):
        assert {name: type(value) for name, value in configuration.options} == {n: type(v) for n, v in row.items()}
    for _, found in table.rows[:2]:
        assert {key: found.metrics[key] for key in metrics} == metrics
        assert {key: found.provenance[key] for key in metrics} == provenance
    failed = table.rows[2][1].failure
    assert failed is not None
    assert failed.kind is FailureKind.TOO_SLOW


def made(engine: str, own: dict[str, KnobValue]) -> Configuration:
    return Configuration.from_dict({"engine": engine, "gpu": "cpu", "weights": "q8_0", "concurrency": 4, **own})


def test_the_export_is_the_row_of_the_table_with_its_job(make_context: MakeContext) -> None:
    """Given a trial, its CSV has the columns of trials.csv, then job, model and pick."""
    context = make_context()
    header, row = csv.reader(io.StringIO(export("csv", context).text))
    assert header == [*trial_columns(), "job", "model", "pick"]
    assert row == [*trial_row(context.trial), "job-7", "meta-llama/Llama-3.1-8B-Instruct", "cheapest"]
