"""Replay tables: read as the contract says, refused with the row and the column named."""

from pathlib import Path

import pytest

from tuner.configuration import Configuration
from tuner.economics.cost import Tokens
from tuner.metrics import Provenance
from tuner.space.own_knobs import own_knobs
from tuner.space.replay_table import ReplayTable, ReplayTableError, read_table
from tuner.spec import Pricing
from tuner.trial import FailureKind

DEFAULTS = Configuration(engine="tensorrt-llm", gpu="h200_sxm")
HEADER = "tensor_parallel,attention_dp,weights,concurrency,failure,tpot_mean_ms,output_tokens_per_second_per_gpu\n"


def read(path: Path, text: str) -> ReplayTable:
    file = path / "table.csv"
    file.write_text(text, encoding="utf-8")
    return read_table(file, DEFAULTS, Tokens(1000, 100), Pricing(gpu_hour_usd=3.6))


def test_rows_are_configurations_with_their_figures_or_failures(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + "2,false,fp8,8,,10.5,100\n4,true,fp8,16,out_of_memory,,\n")
    (first, measured), (second, failed) = table.rows
    assert (first.tensor_parallel, first.gpu, first.max_num_tokens) == (2, "h200_sxm", 8192)
    assert measured.metrics["cost_usd_per_million_output_tokens"] == pytest.approx(10.0)
    assert measured.provenance["tpot_mean_ms"] is Provenance.MEASURED
    assert second.attention_dp
    assert failed.failure is not None
    assert failed.failure.kind is FailureKind.OUT_OF_MEMORY


def test_repeated_configurations_are_repeated_measurements(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + "2,false,fp8,8,,10.5,100\n2,false,fp8,8,,10.7,99\n")
    assert len(table.configurations) == 1
    assert [m.metrics["tpot_mean_ms"] for m in table.measurements(table.configurations[0])] == [10.5, 10.7]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tensor_paralel,tpot_mean_ms\n1,2\n", "did you mean tensor_parallel"),
        ("tensor_parallel,weights\n1,fp8\n", "no metric column"),
        (HEADER + "2.0,false,fp8,8,,10,100\n", "row 2, column tensor_parallel"),
        (HEADER + "2,False,fp8,8,,10,100\n", "row 2, column attention_dp"),
        (HEADER + "2,false,fp8,8,,10,100\n2,false,fp8,8,,fast,100\n", "row 3, column tpot_mean_ms"),
        (HEADER + "2,false,fp8,8,oom,,\n", "row 2, column failure"),
        (HEADER + "2,false,fp8,8,,,\n", "row 2 has neither"),
        (HEADER + "2,false,fp8\n", "row 2 does not have 7 cells"),
        (HEADER, "no rows"),
        ("", "is empty"),
    ],
)
def test_what_is_wrong_is_named_with_its_row_and_column(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ReplayTableError, match=said):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("block_sise", "16", "did you mean block_size"),
        ("block_size", "16.0", "row 2, column block_size"),
        ("gpu_memory_utilization", "1.5", "row 2, column gpu_memory_utilization: .*at most 1"),
        ("prefix_caching", "yes", "row 2, column prefix_caching"),
        ("provenance_tpot_mean_ms", "guessed", "row 2, column provenance_tpot_mean_ms"),
        ("provenance_tpot", "measured", "neither a knob nor a metric"),
    ],
)
def test_what_is_wrong_with_an_engines_own_column_is_named(tmp_path: Path, column: str, text: str, said: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(f"concurrency,{column},tpot_mean_ms\n4,{text},10\n")
    own = [knob for knob in own_knobs("vllm") if not knob.is_common]

    with pytest.raises(ReplayTableError, match=said):
        read_table(file, Configuration("vllm", "h100_sxm"), Tokens(1, 1), Pricing(), own)


def test_a_figure_that_was_not_measured_stays_what_it_is(tmp_path: Path) -> None:
    text = "concurrency,tpot_mean_ms,provenance_tpot_mean_ms,ttft_mean_ms\n4,10,simulated,100\n"

    [(_, found)] = read(tmp_path, text).rows

    assert found.provenance == {"tpot_mean_ms": Provenance.SIMULATED, "ttft_mean_ms": Provenance.MEASURED}


def test_zero_is_a_figure_only_where_a_provenance_stands_for_it(tmp_path: Path) -> None:
    told = "tpot_mean_ms,goodput_requests_per_second,provenance_goodput_requests_per_second\n10,0,measured\n"
    untold = "tpot_mean_ms,goodput_requests_per_second\n10,0\n"

    assert read(tmp_path, told).rows[0][1].metrics["goodput_requests_per_second"] == 0
    with pytest.raises(ReplayTableError, match="column goodput_requests_per_second"):
        read(tmp_path, untold)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReplayTableError, match="cannot read"):
        read_table(tmp_path / "none.csv", DEFAULTS, Tokens(1, 1), Pricing())
