"""What is known of a job's configurations before its space is built."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.configuration import KNOBS, knobs_of
from tuner.space.choice import choices_of, own_knobs_of
from tuner.spec import JobSpec

Job = Callable[..., JobSpec]
MEASURED = {"evaluator": "measure", "pricing": {"gpu_hour_usd": 1.0}}
LLAMA = {**MEASURED, "engine": "llama.cpp", "hardware": {"gpu": "cpu", "gpus": 1}}
COMMAND = {"arguments": ["x", "{port}", "{max_batch_size}", "{kernel}"], "knobs": {"kernel": ["a", "b"]}}


@pytest.mark.parametrize(
    ("changes", "own"),
    [
        ({}, ()),
        (LLAMA, ("flash_attention", "micro_batch", "threads")),
        ({**LLAMA, "space": {"threads": [1], "weights": ["f16"]}}, ("flash_attention", "micro_batch", "threads")),
        ({**MEASURED, "engine": "command", "command": COMMAND, "space": {"max_batch_size": [2]}}, ("kernel",)),
        (MEASURED, ()),
        (
            {**MEASURED, "engine": "vllm", "space": {"prefix_caching": [True], "block_size": [16, 32]}},
            ("block_size", "prefix_caching"),
        ),
        ({"evaluator": "staged", "engine": "vllm", "space": {"block_size": [16]}}, ("block_size",)),
        (
            {"evaluator": "staged", "space": {"free_gpu_memory_fraction": [0.8, 0.9], "autotuner": [False]}},
            ("autotuner", "free_gpu_memory_fraction"),
        ),
    ],
)
def test_the_own_knobs_of_a_job_are_those_of_its_configurations(
    job: Job, changes: dict[str, object], own: tuple[str, ...]
) -> None:
    spec = job(**changes)

    assert own_knobs_of(spec) == own == knobs_of(choices_of(spec))[len(KNOBS) :]


@pytest.mark.parametrize("evaluator", ["replay", "staged"])
def test_the_own_knobs_of_a_table_are_those_of_its_columns(job: Job, tmp_path: Path, evaluator: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text("concurrency,block_size,tpot_mean_ms\n4,,10\n8,16,12\n")

    spec = job(engine="vllm", evaluator=evaluator, replay={"table": str(table)})

    assert own_knobs_of(spec) == ("block_size",)


def test_a_table_of_a_machine_without_kernel_data_is_a_space(job: Job, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("threads,flash_attention,tpot_mean_ms\n2,true,10\n")

    [row] = choices_of(job(**LLAMA | {"evaluator": "replay"}, replay={"table": str(table)}))

    assert (row.gpu, row.options) == ("cpu", (("flash_attention", True), ("threads", 2)))
