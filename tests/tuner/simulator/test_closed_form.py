"""The closed form against direct calls of the package, and what is made of them."""

import math
from dataclasses import replace

import pytest
from aiconfigurator_core.sdk import common, config, models, perf_database
from aiconfigurator_core.sdk.backends import factory
from hypothesis import given
from hypothesis import strategies as st

from tuner.configuration import Configuration
from tuner.simulator.closed_form import context_tokens_per_step, estimate
from tuner.simulator.kernel_data import KernelData
from tuner.space.lengths import Lengths
from tuner.space.models import model_shape

LENGTHS = Lengths(1024, 1024, 128, 128)
PLAIN = Configuration("tensorrt-llm", "h100_sxm", max_batch_size=16, concurrency=16)

# what the package calls each deployment, written out by hand: (ours, its name, its sizes and modes, batch, prompt tokens a step)
DIRECT = {
    "dense": (
        PLAIN,
        "meta-llama/Llama-3.1-8B-Instruct",
        "meta-llama/Meta-Llama-3.1-8B",
        "trtllm",
        {"tp_size": 1},
        16,
        7168,
    ),
    "fp8, tp 2": (
        replace(PLAIN, tensor_parallel=2, weights="fp8", kv_cache="fp8", max_num_tokens=4096, concurrency=1),
        "Qwen/Qwen3-32B",
        "Qwen/Qwen3-32B",
        "trtllm",
        {"tp_size": 2, "gemm_quant_mode": "fp8", "kvcache_quant_mode": "fp8", "fmha_quant_mode": "fp8"},
        1,
        1024,
    ),
    "stages": (
        replace(PLAIN, pipeline_parallel=4, concurrency=64),
        "meta-llama/Llama-3.1-8B-Instruct",
        "meta-llama/Meta-Llama-3.1-8B",
        "trtllm",
        {"tp_size": 1, "pp_size": 4},
        16,
        7168,
    ),
    "chunked": (
        replace(PLAIN, max_num_tokens=512, chunked_prefill=True, concurrency=32),
        "meta-llama/Llama-3.1-8B-Instruct",
        "meta-llama/Meta-Llama-3.1-8B",
        "trtllm",
        {"tp_size": 1},
        32,
        480,
    ),
    "experts, attention in data parallel": (
        replace(PLAIN, gpu="h200_sxm", tensor_parallel=4, expert_parallel=2, attention_dp=True, concurrency=64),
        "Qwen/Qwen3-30B-A3B",
        "Qwen/Qwen3-30B-A3B",
        "trtllm",
        {"tp_size": 1, "attention_dp_size": 4, "moe_tp_size": 2, "moe_ep_size": 2, "moe_quant_mode": "bfloat16"},
        16,
        7168,
    ),
    "another engine": (
        replace(PLAIN, engine="vllm", concurrency=8),
        "Qwen/Qwen3-32B",
        "Qwen/Qwen3-32B",
        "vllm",
        {"tp_size": 1},
        8,
        7168,
    ),
}
MODES = {
    "gemm_quant_mode": common.GEMMQuantMode,
    "moe_quant_mode": common.MoEQuantMode,
    "kvcache_quant_mode": common.KVCacheQuantMode,
    "fmha_quant_mode": common.FMHAQuantMode,
}


@pytest.mark.parametrize(("ours", "model", "name", "backend", "sizes", "batch", "context"), DIRECT.values(), ids=DIRECT)
def test_it_equals_a_direct_call_of_the_package(
    kernels: KernelData,
    ours: Configuration,
    model: str,
    name: str,
    backend: str,
    sizes: dict[str, object],
    batch: int,
    context: int,
) -> None:
    plain = {"gemm_quant_mode": "bfloat16", "kvcache_quant_mode": "bfloat16", "fmha_quant_mode": "bfloat16"}
    named = {key: MODES[key][value] if key in MODES else value for key, value in (plain | sizes).items()}
    version = perf_database.get_latest_database_version(system=ours.gpu, backend=backend)
    summary = factory.get_backend(backend).run_agg(
        models.get_model(name, config.ModelConfig(**named), backend),
        perf_database.get_database_view(ours.gpu, backend, version, allow_missing_data=False, database_mode="SILICON"),
        config.RuntimeConfig(isl=1024, osl=128, batch_size=batch),
        ctx_tokens=context,
        max_num_tokens=ours.max_num_tokens,
        max_seq_len=1152,
    )
    direct = summary.get_result_dict()

    found = estimate(kernels.engine(ours, model_shape(model)), ours, LENGTHS)

    assert found.failure is None
    assert found.ttft_ms == pytest.approx(direct["ttft"])
    assert found.tpot_ms == pytest.approx(direct["tpot"])
    assert found.request_latency_ms == pytest.approx(direct["request_latency"])
    assert found.output_tokens_per_second == pytest.approx(direct["tokens/s"], rel=0.02)
    assert found.memory_gib == pytest.approx(summary.get_memory()["total"])
    assert direct["num_total_gpus"] == ours.gpus_per_replica


@given(
    st.integers(1, 4096),
    st.integers(64, 32768),
    st.integers(1, 1024),
    st.booleans(),
)
def test_a_step_takes_prompts_within_its_budget(prompt: int, budget: int, batch: int, chunked: bool) -> None:
    if not chunked and budget < prompt:
        return  # the rules of the space forbid it
    configuration = replace(PLAIN, max_num_tokens=budget, chunked_prefill=chunked)

    taken = context_tokens_per_step(configuration, prompt, batch)

    assert 1 <= taken <= min(budget, prompt * batch)
    assert chunked or taken % prompt == 0


@pytest.mark.parametrize("held", [5, 6, 7])
def test_stages_that_are_not_full_make_fewer_tokens(kernels: KernelData, held: int) -> None:
    shape = model_shape("meta-llama/Llama-3.1-8B-Instruct")
    full = replace(PLAIN, pipeline_parallel=4, concurrency=8)

    whole, part = (estimate(kernels.engine(c, shape), c, LENGTHS) for c in (full, replace(full, concurrency=held)))

    assert part.output_tokens_per_second == pytest.approx(whole.output_tokens_per_second * held / 8)


def test_requests_in_flight_are_those_of_littles_law(kernels: KernelData) -> None:
    shape = model_shape("meta-llama/Llama-3.1-8B-Instruct")

    for load in (1, 4, 32, 256):
        configuration = replace(PLAIN, concurrency=load)
        found = estimate(kernels.engine(configuration, shape), configuration, LENGTHS)
        held = found.output_tokens_per_second / 128 * found.request_latency_ms / 1000

        assert held == pytest.approx(load, rel=0.25)


@pytest.mark.parametrize("output", [1, 2, 3])
def test_the_shortest_answers_are_counted_whole(kernels: KernelData, output: int) -> None:
    shape = model_shape("meta-llama/Llama-3.1-8B-Instruct")
    short = Lengths(1024, 1024, output, output)

    found = estimate(kernels.engine(PLAIN, shape), PLAIN, short)
    requests_per_second = found.output_tokens_per_second / output

    # sixteen requests of a thousand prompt tokens each go through in little more than their prefill
    assert requests_per_second * found.request_latency_ms / 1000 == pytest.approx(16, rel=0.4)


def test_the_kv_cache_holds_what_its_share_of_the_free_memory_holds(kernels: KernelData) -> None:
    shape = model_shape("meta-llama/Llama-3.1-8B-Instruct")
    bytes_per_token = 2 * 2 * shape.layers * shape.kv_heads * 128  # keys and values, two bytes each

    found = estimate(kernels.engine(PLAIN, shape), PLAIN, LENGTHS)
    held_gib = 16 * 1152 * bytes_per_token / 2**30
    free_gib = 80 - (found.memory_gib - held_gib)

    assert found.kv_tokens == pytest.approx(0.9 * free_gib * 2**30 / bytes_per_token, rel=0.01)


def test_every_figure_is_a_finite_number(kernels: KernelData) -> None:
    shape = model_shape("meta-llama/Llama-3.1-8B-Instruct")
    found = estimate(kernels.engine(PLAIN, shape), PLAIN, LENGTHS)

    figures = (found.ttft_ms, found.tpot_ms, found.request_latency_ms, found.output_tokens_per_second, found.memory_gib)
    assert all(math.isfinite(figure) and figure > 0 for figure in figures)


def test_a_sweep_of_loads_leaves_nothing_behind(kernels: KernelData) -> None:
    shape = model_shape("meta-llama/Llama-3.1-8B-Instruct")

    for load in range(1, 50):
        configuration = replace(PLAIN, concurrency=load)
        estimate(kernels.engine(configuration, shape), configuration, LENGTHS)

    # the package's backend keeps the summary of every load it ever priced: 13 KB each, gigabytes over a large space
    assert len(kernels.engine(PLAIN, shape).backend._agg_cache) == 0
