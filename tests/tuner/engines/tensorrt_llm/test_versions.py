"""What 1.2 and 1.3 take, and that every configuration which is searched is legal in both."""

import pytest
import yaml

from tuner.engines.tensorrt_llm import check_arguments, parse_arguments, to_yaml
from tuner.engines.tensorrt_llm.deployment import arguments_of
from tuner.engines.tensorrt_llm.versions import generation_of
from tuner.space.build import build_space
from tuner.space.hardware import find_gpu
from tuner.space.models import model_shape
from tuner.spec import parse_spec

NEW_IN_1_3 = """
    kv_cache_config:
      use_kv_cache_manager_v2: true
      avg_seq_len: 9000
      dtype: bfloat16
      block_reuse_config: {policy: per_conversation, max_num_turns: 4}
    moe_config: {backend: DENSEGEMM}
    scheduler_config: {waiting_queue_policy: priority, use_python_scheduler: true}
    cuda_graph_config: {mode: decode, max_batch_size: 64}
    speculative_config: {decoding_type: PARD, max_draft_len: 4, speculative_model: drafts/pard}
    enable_energy_metrics: true
    telemetry_config: {disabled: true}
"""


def test_what_came_with_1_3_is_taken_there_and_named_in_1_2() -> None:
    data = yaml.safe_load(NEW_IN_1_3)
    assert check_arguments(data, version="1.3.0rc23") == []
    problems = {problem.field: problem.message for problem in check_arguments(data, version="1.2.1")}
    assert "came with 1.3" in problems["kv_cache_config.avg_seq_len"]
    assert "came with 1.3" in problems["enable_energy_metrics"]
    assert "PARD" in problems["speculative_config.decoding_type"]


def test_1_3_holds_to_the_same_rules() -> None:
    broken = {"cuda_graph_config": {"batch_sizes": [1, 8], "max_batch_size": 4}}
    assert [problem.field for problem in check_arguments(broken, version="1.3")] == ["cuda_graph_config.max_batch_size"]
    draft = {"speculative_config": {"decoding_type": "DFlash", "max_draft_len": 2}}
    assert [problem.field for problem in check_arguments(draft, version="1.3")] == [
        "speculative_config.speculative_model"
    ]
    unknown = {"kv_cache_config": {"avg_seq_length": 1}}
    assert "avg_seq_len" in check_arguments(unknown, version="1.3")[0].message


@pytest.mark.parametrize(
    ("version", "name"),
    [("1.2.1", "1.2"), ("1.3.0rc23", "1.3"), ("1.4.0rc0", "1.3"), ("1.1.0", "1.2"), ("unknown", "1.2"), ("2.0", "1.3")],
)
def test_the_nearest_version_is_taken(version: str, name: str) -> None:
    generation = generation_of(version)
    assert generation.name == name
    assert generation.has_tensorrt_backend is (name == "1.2")
    assert generation.flags_win is (name == "1.3")


@pytest.mark.parametrize(
    ("model", "gpu"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "h100_sxm"),
        ("Qwen/Qwen3-30B-A3B", "b200_sxm"),
        ("deepseek-ai/DeepSeek-R1", "h200_sxm"),
        ("openai/gpt-oss-120b", "h100_sxm"),
    ],
)
def test_every_configuration_of_the_default_space_is_legal(model: str, gpu: str) -> None:
    """Given a job's default space, each deployment with its first and last load setting is written and taken."""
    spec = parse_spec(
        {
            "model": model,
            "engine": "tensorrt-llm",
            "hardware": {"gpu": gpu, "gpus": 8},
            "workload": {"input_tokens": 1024, "output_tokens": 256, "concurrency": "auto"},
        }
    )
    space, shape, board = build_space(spec), model_shape(model), find_gpu(gpu)
    step = max(1, len(space) // 300)
    for version in ("1.2", "1.3"):
        for number in range(0, len(space), step):
            arguments = arguments_of(space[number], 1280, shape, board, version=version)
            assert parse_arguments(yaml.safe_load(to_yaml(arguments)), version=version) == arguments
