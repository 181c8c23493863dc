"""Rows of serving points: what they mean, and what is said of broken ones."""

from collections.abc import Callable

import pytest

from tuner.simulator.fidelity.cells import BrokenCellError
from tuner.simulator.fidelity.serving_table import parse_point, without_repeats

MakeRow = Callable[..., dict[str, str]]


def test_a_row_says_its_load_lengths_and_figures(serving_row: MakeRow) -> None:
    point = parse_point(serving_row())
    assert (point.concurrency, point.input_tokens, point.output_tokens, point.gpus) == (4, 256, 32, 2)
    assert (point.ttft_ms, point.tpot_ms, point.measured) == (60.0, 12.0, "2026-04-17")


def test_throughput_follows_from_latencies_by_littles_law(serving_row: MakeRow) -> None:
    point = parse_point(serving_row())
    assert point.output_tokens_per_second_per_gpu == pytest.approx(4 * 32 / (0.060 + 0.012 * 31) / 2)


@pytest.mark.parametrize("cells", [{"silicon_ttft_ms": ""}, {"silicon_ttft_ms": "0"}])
def test_a_figure_that_is_not_there_is_unknown(serving_row: MakeRow, cells: dict[str, str]) -> None:
    point = parse_point(serving_row(**cells))
    assert point.ttft_ms is None
    assert point.output_tokens_per_second_per_gpu is None


def test_columns_of_measurements_may_be_missing(serving_row: MakeRow) -> None:
    row = {k: v for k, v in serving_row().items() if not k.startswith("silicon")}
    point = parse_point(row)
    assert point.figures.ttft_ms is None
    assert point.concurrency == 4


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"silicon_data_source": "silicon_concurrency=64"}, 64),
        ({"silicon_data_source": "", "batch_size": "16", "attention_dp_size": "4", "tp_size": "1"}, 64),
        ({"concurrency": "32"}, 32),
    ],
)
def test_concurrency_is_found_wherever_it_stands(serving_row: MakeRow, cells: dict[str, str], expected: int) -> None:
    assert parse_point(serving_row(**cells)).concurrency == expected


@pytest.mark.parametrize(
    ("cells", "tensor", "data"),
    [
        ({"tp_size": "64", "attention_dp_size": "1", "moe_tp_size": "8", "moe_ep_size": "8"}, 8, 1),
        ({"tp_size": "1", "attention_dp_size": "64", "moe_tp_size": "8", "moe_ep_size": "8"}, 1, 8),
    ],
)
def test_a_squared_width_is_put_right(serving_row: MakeRow, cells: dict[str, str], tensor: int, data: int) -> None:
    point = parse_point(serving_row(model_path="deepseek-ai/DeepSeek-R1", **cells))
    assert (point.tensor_parallel, point.attention_dp, point.gpus) == (tensor, data, 8)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"isl": ""}, "column isl is empty"),
        ({"isl": "many"}, "column isl must be a number, not 'many'"),
        ({"tp_size": "-2"}, "column tp_size must be a whole number"),
        ({"tp_size": "1.5"}, "column tp_size must be a whole number"),
        ({"silicon_tpot_ms": "nan"}, "column silicon_tpot_ms must be a finite number"),
        ({"backend": "mystery"}, "column backend must be one of trtllm, vllm, sglang"),
        ({"model_path": " "}, "column model_path is empty"),
    ],
)
def test_a_broken_cell_is_named(serving_row: MakeRow, cells: dict[str, str], said: str) -> None:
    with pytest.raises(BrokenCellError, match=said):
        parse_point(serving_row(**cells))


def test_every_row_of_the_wheels_table_can_be_read(wheel_rows: list[dict[str, str]]) -> None:
    points = [parse_point(row) for row in wheel_rows]
    assert len(points) == 5221
    assert all(1 <= point.gpus <= 128 for point in points if point.mode == "agg")
    assert len(without_repeats(points)) < len(points)
