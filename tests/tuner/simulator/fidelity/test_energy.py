"""Power and energy of ML.ENERGY's rows: within the goal where they were fitted, sensible where they were not."""

from collections.abc import Callable

import pytest

from tuner.simulator.fidelity.compare import errors, variant
from tuner.simulator.fidelity.energy import predict_row
from tuner.simulator.power.table import read_power_table

MakeRow = Callable[..., dict[str, str]]

MODELS = [
    "deepseek-ai/DeepSeek-R1",
    "Qwen/Qwen3-235B-A22B-Thinking-2507",
    "Qwen/Qwen3-Coder-480B-A35B-Instruct",
    "openai/gpt-oss-20b",
    "openai/gpt-oss-120b",
    "Qwen/Qwen3-VL-8B-Instruct",
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
]


def test_the_given_points_are_within_the_goals(mlenergy_rows: list[dict[str, str]]) -> None:
    found = {entry.metric: entry for entry in errors([predict_row(row) for row in mlenergy_rows], variant("simulated"))}
    assert found["power_watts_per_gpu"].mean_absolute < 0.12
    assert found["energy_joules_per_output_token"].mean_absolute < 0.20
    assert found["output_tokens_per_second_per_gpu"].mean_absolute < 0.12


@pytest.mark.parametrize("gpu", ["H100", "B200"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("task", ["lm-arena-chat", "gpqa", "sourcegraph-fim", "image-chat", "video-chat", "new-task"])
def test_any_row_gets_figures_between_idle_and_limit(energy_row: MakeRow, gpu: str, model: str, task: str) -> None:
    result = predict_row(energy_row(gpu_model=gpu, model_id=model, task=task, num_gpus="8", expert_parallel="8"))
    board = read_power_table().gpu(result.groups.gpu)
    figures = result.simulated
    assert figures is not None
    assert board.idle_watts < (figures.power_watts_per_gpu or 0) < board.limit_watts
    assert (figures.energy_joules_per_output_token or 0) > 0


def test_a_larger_batch_costs_fewer_joules_a_token(energy_row: MakeRow) -> None:
    joules = []
    for batch in ("8", "64", "256"):
        figures = predict_row(energy_row(avg_batch_size=batch)).simulated
        assert figures is not None
        joules.append(figures.energy_joules_per_output_token or 0)
    assert joules == sorted(joules, reverse=True)


def test_joules_are_watts_over_tokens(energy_row: MakeRow) -> None:
    figures = predict_row(energy_row(num_gpus="4")).simulated
    assert figures is not None
    watts, rate = figures.power_watts_per_gpu or 0, figures.output_tokens_per_second_per_gpu or 1
    assert figures.energy_joules_per_output_token == pytest.approx(watts / rate)
