"""Model shapes: by name, by alias, from a checkpoint directory, and what is said of the rest."""

import json
from pathlib import Path

import pytest

from tuner.errors import SpecError
from tuner.space.hardware import support_matrix
from tuner.space.meaning import meaning_of
from tuner.space.models import ARCHITECTURES, known_models, model_shape
from tuner.spec import parse_spec

LLAMA: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}


def checkpoint(folder: Path, config: object, quantisation: object = None) -> str:
    folder.mkdir()
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    if quantisation is not None:
        (folder / "hf_quant_config.json").write_text(json.dumps(quantisation))
    return str(folder)


@pytest.mark.parametrize("name", known_models())
def test_every_known_model_has_a_whole_shape(name: str) -> None:
    shape = model_shape(name)

    assert shape.name == name
    assert shape.architecture in ARCHITECTURES
    assert min(shape.layers, shape.hidden_size, shape.attention_heads, shape.kv_heads, shape.context_tokens) > 0
    assert (shape.experts_per_token > 0) == shape.is_moe


def test_every_architecture_with_kernel_data_is_known() -> None:
    with_data = set().union(*support_matrix().values())

    assert with_data <= set(ARCHITECTURES)


def test_the_usual_name_stands_for_the_bundled_shape() -> None:
    usual, bundled = model_shape("meta-llama/Llama-3.1-8B-Instruct"), model_shape("meta-llama/Meta-Llama-3.1-8B")

    assert usual.simulator_name == bundled.simulator_name == "meta-llama/Meta-Llama-3.1-8B"
    assert (usual.layers, usual.attention_heads, usual.kv_heads, usual.context_tokens) == (32, 32, 8, 131072)
    assert not usual.is_moe


def test_capitals_and_blanks_do_not_matter() -> None:
    assert model_shape(" META-llama/llama-3.1-8b-INSTRUCT ").name == "meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.parametrize(
    ("name", "weights", "experts"),
    [
        ("Qwen/Qwen3-32B", "bfloat16", 0),
        ("Qwen/Qwen3-32B-FP8", "fp8_block", 0),
        ("nvidia/Llama-3.1-70B-Instruct-FP8", "fp8", 0),
        ("openai/gpt-oss-120b", "mxfp4", 128),
        ("nvidia/DeepSeek-V3.1-NVFP4", "nvfp4", 256),
        ("Qwen/Qwen3-235B-A22B", "bfloat16", 128),
    ],
)
def test_the_checkpoints_own_precision_and_experts_are_known(name: str, weights: str, experts: int) -> None:
    shape = model_shape(name)

    assert (shape.checkpoint_weights, shape.experts) == (weights, experts)


@pytest.mark.parametrize(
    "name", ["Qwen/Qwen2.5-72B-Instruct", "mistralai/Mixtral-8x7B-Instruct-v0.1", "mistralai/Mistral-7B-Instruct-v0.3"]
)
def test_models_that_many_people_serve_have_kernel_data_somewhere(name: str) -> None:
    workload = {"input_tokens": 1024, "output_tokens": 128}
    spec = parse_spec({"model": name, "hardware": {"gpu": "h100_sxm", "gpus": 8}, "workload": workload})

    assert meaning_of(spec).targets


def test_a_near_miss_is_answered_with_whole_names() -> None:
    with pytest.raises(SpecError, match=r"did you mean meta-llama/Llama-3\.1-8B-Instruct"):
        model_shape("meta-llama/Llama-3.1-8B-Instrct")


def test_a_wholly_unknown_model_is_told_where_the_known_ones_are() -> None:
    with pytest.raises(SpecError, match=r"GET /v1/models") as caught:
        model_shape("nobody/qqq")

    assert caught.value.problems[0].field == "model"


def test_a_checkpoint_directory_stands_for_itself(tmp_path: Path) -> None:
    name = checkpoint(tmp_path / "mine", LLAMA)

    shape = model_shape(name)

    assert (shape.name, shape.simulator_name, shape.family) == (name, name, "dense")
    assert (shape.layers, shape.attention_heads, shape.kv_heads, shape.context_tokens) == (16, 32, 8, 8192)
    assert shape.checkpoint_weights == "bfloat16"


def test_a_multimodal_checkpoint_is_read_by_its_text_part(tmp_path: Path) -> None:
    text = {key: value for key, value in LLAMA.items() if key != "architectures"}
    name = checkpoint(tmp_path / "mine", {"architectures": ["Qwen3VLForConditionalGeneration"], "text_config": text})

    assert model_shape(name).layers == 16


@pytest.mark.parametrize(
    ("section", "file", "weights"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, None, "fp8_block"),
        ({"quant_method": "fp8"}, None, "fp8"),
        ({"quant_method": "mxfp4"}, None, "mxfp4"),
        (None, {"quantization": {"quant_algo": "FP8"}}, "fp8"),
        (None, {"quantization": {"quant_algo": "NVFP4"}}, "nvfp4"),
    ],
)
def test_a_quantised_checkpoint_directory_keeps_its_precision(
    tmp_path: Path, section: object, file: object, weights: str
) -> None:
    name = checkpoint(tmp_path / "mine", LLAMA | ({"quantization_config": section} if section else {}), file)

    assert model_shape(name).checkpoint_weights == weights


def test_a_directory_without_a_checkpoint_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"holds no config\.json"):
        model_shape(str(tmp_path))


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[1]",
        {**LLAMA, "architectures": ["FooForCausalLM"]},
        {**LLAMA, "architectures": []},
        {**LLAMA, "architectures": [None]},
        {**LLAMA, "num_hidden_layers": "many"},
        {**LLAMA, "num_attention_heads": -4},
        {**LLAMA, "max_position_embeddings": None},
        {key: value for key, value in LLAMA.items() if key != "num_hidden_layers"},
        {**LLAMA, "quantization_config": [1]},
    ],
    ids=str,
)
def test_a_broken_checkpoint_is_refused_with_a_reason(tmp_path: Path, config: object) -> None:
    name = checkpoint(tmp_path / "mine", config)

    with pytest.raises(SpecError) as caught:
        model_shape(name)

    assert caught.value.problems[0].field == "model"
