"""Rows of ML.ENERGY's table: GPUs, precisions and shapes by whatever name, and what is said of broken ones."""

from collections.abc import Callable

import pytest

from tuner.simulator.fidelity.cells import BrokenCellError
from tuner.simulator.fidelity.energy_table import parse_energy_point
from tuner.simulator.power.table import read_power_table

MakeRow = Callable[..., dict[str, str]]
TABLE = read_power_table()


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("H100", "h100_sxm"),
        ("NVIDIA H100 80GB HBM3", "h100_sxm"),
        ("NVIDIA H100 PCIe", "h100_pcie"),
        ("B200", "b200_sxm"),
        ("NVIDIA B200", "b200_sxm"),
        ("b200_sxm", "b200_sxm"),
    ],
)
def test_a_gpu_is_known_by_all_its_names(energy_row: MakeRow, name: str, gpu: str) -> None:
    assert parse_energy_point(energy_row(gpu_model=name), TABLE).gpu == gpu


@pytest.mark.parametrize(
    ("model", "stated", "precision"),
    [
        ("Qwen/Qwen3-14B", "bf16", "bfloat16"),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507-FP8", "fp8", "fp8_block"),
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", "fp8", "fp8"),
        ("openai/gpt-oss-120b", "mxfp4", "mxfp4"),
        ("openai/gpt-oss-120b", "bfloat16", "mxfp4"),
        ("nvidia/DeepSeek-R1-0528-NVFP4", "nvfp4", "nvfp4"),
    ],
)
def test_precision_is_of_the_experts(energy_row: MakeRow, model: str, stated: str, precision: str) -> None:
    point = parse_energy_point(energy_row(model_id=model, weight_precision=stated), TABLE)
    assert point.layout.precision_of_experts == precision


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("Qwen/Qwen3-14B", 14.8),
        ("google/gemma-3-27b-it", 27.0),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", 8.9),
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", 405),
        ("Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8", 480),
        ("deepseek-ai/DeepSeek-R1", 671),
        ("deepseek-ai/DeepSeek-V3.1", 671),
        ("openai/gpt-oss-20b", 21),
        ("openai/gpt-oss-120b", 117),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507", 235),
        ("moonshotai/Kimi-K2-Thinking", 1030),
    ],
)
def test_a_model_known_by_name_has_its_published_size(energy_row: MakeRow, model: str, billions: float) -> None:
    shape = parse_energy_point(energy_row(model_id=model), TABLE).shape
    assert (shape.dense_params + shape.expert_params) / 1e9 == pytest.approx(billions, rel=0.08)


def test_a_shape_far_from_the_stated_size_gives_way_to_the_size(energy_row: MakeRow) -> None:
    own = parse_energy_point(energy_row(total_params_billions="14"), TABLE)
    pruned = parse_energy_point(energy_row(total_params_billions="7"), TABLE)
    assert own.shape.dense_params == pytest.approx(14e9, rel=0.06)
    assert pruned.shape.dense_params == pytest.approx(7e9, rel=0.06)


def test_an_unknown_model_goes_by_its_size(energy_row: MakeRow) -> None:
    row = energy_row(model_id="nobody/Nothing-50B", total_params_billions="50", activated_params_billions="5")
    assert parse_energy_point(row, TABLE).shape.active_params == pytest.approx(5e9, rel=0.5)


def test_watts_of_a_row_are_of_all_its_gpus(energy_row: MakeRow) -> None:
    figures = parse_energy_point(energy_row(num_gpus="4", avg_power_watts="2000"), TABLE).measured
    assert figures.power_watts_per_gpu == pytest.approx(500)


def test_joules_of_the_given_points_are_watts_of_all_gpus_over_output_tokens(
    mlenergy_rows: list[dict[str, str]],
) -> None:
    for row in mlenergy_rows:
        joules = float(row["avg_power_watts"]) / float(row["output_throughput_tokens_per_sec"])
        assert float(row["energy_per_token_joules"]) == pytest.approx(joules)


@pytest.mark.parametrize("column", ["avg_batch_size", "avg_output_len", "avg_power_watts", "task"])
def test_a_row_without_measurements_is_still_a_point(energy_row: MakeRow, column: str) -> None:
    row = energy_row()
    del row[column]
    point = parse_energy_point(row, TABLE)
    assert point.load.decode_sequences > 7


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"gpu_model": "TPU v5"}, "column gpu_model 'TPU v5' is not known"),
        ({"weight_precision": "int3"}, "column weight_precision 'int3' is not known.*nvfp4"),
        ({"max_num_seqs": "", "avg_batch_size": ""}, "column max_num_seqs is empty"),
        ({"avg_output_len": "-1"}, "column avg_output_len must be above 0"),
        ({"model_id": "nobody/Nothing"}, "column model_id .* total_params_billions"),
        ({"num_gpus": "two"}, "column num_gpus must be a number, not 'two'"),
    ],
)
def test_a_broken_cell_is_named(energy_row: MakeRow, cells: dict[str, str], said: str) -> None:
    with pytest.raises(BrokenCellError, match=said):
        parse_energy_point(energy_row(**cells), TABLE)
