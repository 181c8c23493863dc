"""Model names of measured tables, looked through."""

import pytest

from tuner.simulator.fidelity.names import find_model


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Qwen/Qwen3-32B", "Qwen/Qwen3-32B"),
        ("nvidia/Qwen3-32B-NVFP4", "Qwen/Qwen3-32B"),
        ("nvidia/Llama-3.1-8B-Instruct-FP8", "meta-llama/Meta-Llama-3.1-8B"),
        ("nvidia/DeepSeek-R1-0528-FP4-V2", "deepseek-ai/DeepSeek-R1"),
        ("zhipuai/GLM-5", "zai-org/GLM-5"),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507-FP8", "Qwen/Qwen3-235B-A22B"),
    ],
)
def test_owner_precision_and_tuning_do_not_matter(name: str, meant: str) -> None:
    found = find_model(name)
    assert found is not None
    assert found.simulator_name == meant


def test_a_model_like_no_other_is_not_guessed() -> None:
    assert find_model("nobody/Nothing-7B") is None
