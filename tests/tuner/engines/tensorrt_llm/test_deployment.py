"""A configuration written as TensorRT-LLM arguments."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.configuration import Configuration
from tuner.engines.tensorrt_llm import arguments_of, parse_arguments, to_yaml
from tuner.errors import SpecError
from tuner.space.hardware import find_gpu
from tuner.space.models import model_shape
from tuner.space.rules import Setting, broken

LONGEST = 1324
LLAMA = model_shape("meta-llama/Llama-3.1-8B-Instruct")
QWEN_MOE = model_shape("Qwen/Qwen3-30B-A3B")
H100 = find_gpu("h100_sxm")


def configuration(**knobs: object) -> Configuration:
    return Configuration(**{"engine": "tensorrt-llm", "gpu": "h100_sxm", "concurrency": 64, **knobs})  # type: ignore[arg-type]


def test_every_knob_is_written() -> None:
    """Given a mixture-of-experts deployment, when written, each knob stands in the YAML with its value."""
    knobs = configuration(
        tensor_parallel=8,
        expert_parallel=4,
        attention_dp=True,
        weights="fp8",
        kv_cache="fp8",
        max_num_tokens=4096,
        chunked_prefill=True,
        moe_backend="cutlass",
        concurrency=100,
    )
    assert yaml.safe_load(to_yaml(arguments_of(knobs, LONGEST, QWEN_MOE, H100))) == {
        "backend": "pytorch",
        "tensor_parallel_size": 8,
        "pipeline_parallel_size": 1,
        "moe_tensor_parallel_size": 2,
        "moe_expert_parallel_size": 4,
        "enable_attention_dp": True,
        "max_batch_size": 13,
        "max_num_tokens": 4096,
        "max_seq_len": 1024 + 300 + 64,
        "scheduler_config": {"capacity_scheduler_policy": "GUARANTEED_NO_EVICT"},
        "enable_chunked_prefill": True,
        "kv_cache_config": {"dtype": "fp8", "free_gpu_memory_fraction": 0.9, "enable_block_reuse": True},
        "cuda_graph_config": {"max_batch_size": 13, "enable_padding": True},
        "moe_config": {"backend": "CUTLASS"},
    }


def test_a_dense_model_has_no_expert_parallelism() -> None:
    """Given a dense model, no mixture-of-experts field is written."""
    written = to_yaml(arguments_of(configuration(), LONGEST, LLAMA, H100))
    assert "moe_" not in written


def test_switching_graphs_off_is_written_out() -> None:
    """Given no CUDA graphs, the field is null, for the engine's default is on."""
    written = to_yaml(arguments_of(configuration(cuda_graphs=False), LONGEST, LLAMA, H100))
    assert "cuda_graph_config: null" in written
    assert parse_arguments(yaml.safe_load(written)).cuda_graph_config is None


def test_a_set_ceiling_is_the_engines() -> None:
    """Given a batch ceiling, scheduler and graphs have it."""
    arguments = arguments_of(configuration(max_batch_size=512), LONGEST, LLAMA, H100)
    assert arguments.max_batch_size == 512
    assert arguments.cuda_graph_config is not None
    assert arguments.cuda_graph_config.max_batch_size == 512


def test_the_sequence_stays_within_the_models_context() -> None:
    """Given a request as long as the context, no room is added over it."""
    context = LLAMA.context_tokens
    arguments = arguments_of(configuration(chunked_prefill=True), context, LLAMA)
    assert arguments.max_seq_len == context


def test_a_hybrid_model_reuses_no_blocks() -> None:
    """Given a model with state-space layers, block reuse is off."""
    hybrid = model_shape("nvidia/Nemotron-H-56B-Base-8K")
    assert arguments_of(configuration(tensor_parallel=8), LONGEST, hybrid).kv_cache_config.enable_block_reuse is False


@pytest.mark.parametrize(
    ("knob", "expected"),
    [
        ("off", None),
        ("mtp:2", {"decoding_type": "MTP", "num_nextn_predict_layers": 2}),
        ("ngram:5", {"decoding_type": "NGram", "max_draft_len": 5}),
        ("eagle3:3:a/b", {"decoding_type": "Eagle3", "max_draft_len": 3, "speculative_model": "a/b"}),
    ],
)
def test_speculation_is_written(knob: str, expected: dict[str, object] | None) -> None:
    """Given a way to speculate, the engine's own configuration of it is written."""
    written = yaml.safe_load(to_yaml(arguments_of(configuration(speculative=knob), LONGEST, LLAMA, H100)))
    assert written.get("speculative_config") == expected


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"engine": "vllm"}, "engine"),
        ({"kv_cache": "int8"}, "kv_cache"),
        ({"speculative": "medusa"}, "speculative"),
        ({"speculative": "eagle3:3"}, "speculative_config.speculative_model"),
        ({"speculative": "mtp:1", "pipeline_parallel": 2}, "pipeline_parallel_size"),
        ({"moe_backend": "fast"}, "moe_config.backend"),
        ({"weights": "nvfp4"}, "model"),
        ({"tensor_parallel": 3}, "tensor_parallel_size"),
    ],
)
def test_what_the_engine_refuses_is_refused(knobs: dict[str, object], message: str) -> None:
    """Given a knob the engine does not take, writing says which."""
    with pytest.raises(SpecError, match=message):
        arguments_of(configuration(**knobs), LONGEST, LLAMA, H100)


@st.composite
def legal_configurations(draw: st.DrawFn) -> tuple[Configuration, Setting]:
    model = draw(st.sampled_from([LLAMA, QWEN_MOE, model_shape("deepseek-ai/DeepSeek-R1")]))
    gpu = find_gpu(draw(st.sampled_from(["a100_sxm", "h100_sxm", "b200_sxm"])))
    powers = st.sampled_from([1, 2, 4, 8])
    knobs = configuration(
        gpu=gpu.name,
        replicas=draw(st.integers(1, 4)),
        tensor_parallel=draw(powers),
        pipeline_parallel=draw(st.sampled_from([1, 2])),
        expert_parallel=draw(powers),
        attention_dp=draw(st.booleans()),
        weights=draw(st.sampled_from(["bfloat16", "fp8", "fp8_block", "nvfp4"])),
        kv_cache=draw(st.sampled_from(["bfloat16", "fp8"])),
        max_batch_size=draw(st.none() | st.integers(1, 4096)),
        max_num_tokens=draw(st.sampled_from([1024, 8192])),
        concurrency=draw(st.integers(1, 2048)),
        chunked_prefill=draw(st.booleans()),
        cuda_graphs=draw(st.booleans()),
    )
    return knobs, Setting(model, gpu, 128, 1024)


@settings(max_examples=300, deadline=None)
@given(legal_configurations())
def test_every_legal_configuration_is_legal_for_the_engine(case: tuple[Configuration, Setting]) -> None:
    """Given a configuration that breaks no rule of the space, it is written, legal, and comes back from YAML."""
    knobs, setting = case
    if broken(knobs, setting) is not None:
        return
    arguments = arguments_of(knobs, LONGEST, setting.model, setting.gpu)
    assert parse_arguments(yaml.safe_load(to_yaml(arguments))) == arguments
    assert arguments.max_batch_size is not None
    if knobs.max_batch_size is None:
        assert arguments.max_batch_size * knobs.data_parallel_ranks >= knobs.concurrency
