"""The door to the kernel data: each trap of the package is shown first, then that it is closed."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from aiconfigurator_core.sdk import common, config, models, perf_database
from aiconfigurator_core.sdk.backends import factory
from aiconfigurator_core.sdk.errors import MissingSystemFlopsError, PerfDataNotAvailableError

from tuner.configuration import Configuration
from tuner.errors import SpecError
from tuner.simulator.closed_form import Estimate, estimate
from tuner.simulator.kernel_data import KernelData, KernelEngine, UnsupportedError, failures_named
from tuner.space.build import build_space
from tuner.space.hardware import find_gpu
from tuner.space.lengths import Lengths
from tuner.space.models import ARCHITECTURES, known_models, model_shape
from tuner.space.rules import Setting, broken
from tuner.spec import JobSpec
from tuner.trial import FailureKind

Job = Callable[..., JobSpec]
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
LENGTHS = Lengths(1024, 1024, 128, 128)
H100 = Configuration("tensorrt-llm", "h100_sxm", max_batch_size=16, concurrency=16)
DIRECT = {"isl": 1024, "osl": 128}


def priced(kernels: KernelData, configuration: Configuration, model: str = LLAMA) -> Estimate:
    return estimate(kernels.engine(configuration, model_shape(model)), configuration, LENGTHS)


def direct_model(name: str = "meta-llama/Meta-Llama-3.1-8B", **sizes: object) -> object:
    """A model as the package builds it, with none of our code."""
    return models.get_model(name, config.ModelConfig(**sizes), "trtllm")


def direct_database(gpu: str = "h100_sxm") -> object:
    version = perf_database.get_latest_database_version(system=gpu, backend="trtllm")
    return perf_database.get_database_view(gpu, "trtllm", version, allow_missing_data=False, database_mode="SILICON")


def test_our_architectures_are_the_packages() -> None:
    assert set(ARCHITECTURES) == set(common.ARCHITECTURE_TO_MODEL_FAMILY)


def test_the_packages_backend_mixes_up_models_so_each_engine_has_its_own(kernels: KernelData) -> None:
    small, large = direct_model(tp_size=1), direct_model("Qwen/Qwen3-32B", tp_size=1)
    shared, database = factory.get_backend("trtllm"), direct_database()
    request = config.RuntimeConfig(batch_size=4, **DIRECT)
    first = shared.run_agg(small, database, request, ctx_tokens=4096).get_result_dict()["tpot"]
    trap = shared.run_agg(large, database, request, ctx_tokens=4096).get_result_dict()["tpot"]
    assert first == trap  # the trap: the cache knows the load and not the model

    deployments = [
        (model, replace(H100, tensor_parallel=width, weights=weights))
        for model in (LLAMA, "Qwen/Qwen3-32B")
        for width in (1, 2)
        for weights in ("bfloat16", "fp8")
    ]
    engines = [kernels.engine(configuration, model_shape(model)) for model, configuration in deployments]

    assert len({id(engine.backend) for engine in engines}) == len(deployments)
    assert len({priced(kernels, configuration, model).tpot_ms for model, configuration in deployments}) == 8


def test_figures_do_not_depend_on_what_was_priced_before(kernels: KernelData) -> None:
    others = [replace(H100, tensor_parallel=width) for width in (1, 2, 4)]
    before = priced(kernels, H100)

    for other in others:
        priced(kernels, other, "Qwen/Qwen3-32B")

    assert priced(kernels, H100) == before == priced(KernelData(), H100)


def test_an_engine_is_built_once_and_serves_every_load(kernels: KernelData) -> None:
    shape = model_shape(LLAMA)

    assert kernels.engine(H100, shape) is kernels.engine(replace(H100, concurrency=3, max_num_tokens=2048), shape)
    assert kernels.engine(H100, shape) is not kernels.engine(replace(H100, kv_cache="fp8"), shape)


def test_engines_that_were_dropped_are_built_again_alike() -> None:
    kernels = KernelData()
    names = [
        name for name in known_models() if model_shape(name).architecture in ("LlamaForCausalLM", "Qwen3ForCausalLM")
    ]
    few = [(name, replace(H100, tensor_parallel=width)) for name in names for width in (1, 2, 4, 8)]
    first = priced(kernels, H100)

    for name, configuration in few:
        if model_shape(name).attention_heads % configuration.tensor_parallel == 0:
            kernels.engine(configuration, model_shape(name))

    assert len(few) > 70  # more than are kept
    assert priced(kernels, H100) == first


def test_threads_share_the_kernel_data(kernels: KernelData) -> None:
    work = [replace(H100, tensor_parallel=width, concurrency=load) for width in (1, 2, 4) for load in (1, 8, 32)]
    alone = [priced(kernels, configuration) for configuration in work]
    fresh = KernelData()

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda configuration: priced(fresh, configuration), work))

    assert together == alone


def test_running_out_of_memory_raises_nothing_in_the_package_and_is_a_failure_here(kernels: KernelData) -> None:
    summary = factory.get_backend("trtllm").run_agg(
        direct_model("meta-llama/Meta-Llama-3.1-70B", tp_size=1),
        direct_database(),
        config.RuntimeConfig(batch_size=16, **DIRECT),
        ctx_tokens=8192,
    )
    assert summary.check_oom()

    found = priced(kernels, H100, "meta-llama/Llama-3.1-70B-Instruct")

    assert found.failure is not None
    assert found.failure.kind is FailureKind.OUT_OF_MEMORY
    assert "of 80.0 GiB" in found.failure.detail
    assert "weights" in found.failure.detail


def test_a_kv_cache_that_does_not_fit_its_share_is_out_of_memory_too(kernels: KernelData) -> None:
    lengths = Lengths(4096, 4096, 512, 512)
    backend, model, database, flags = factory.get_backend("trtllm"), direct_model(tp_size=1), direct_database(), {}
    for load in range(60, 160, 4):
        summary = backend.run_agg(
            model,
            database,
            config.RuntimeConfig(isl=4096, osl=512, batch_size=load),
            ctx_tokens=4096,
            max_num_tokens=8192,
            max_seq_len=4608,
        )
        flags[load] = (summary.check_oom(), summary.check_kv_cache_oom())
    assert (False, True) in flags.values()  # the second flag alone, with the memory itself not full

    for load, (oom, kv_cache_oom) in flags.items():
        configuration = replace(H100, concurrency=load, max_batch_size=load)
        found = estimate(kernels.engine(configuration, model_shape(LLAMA)), configuration, lengths)
        assert (found.failure is not None) == (oom or kv_cache_oom), load


def test_a_width_that_divides_no_heads_is_a_bare_assertion_there_and_a_reason_here(kernels: KernelData) -> None:
    with pytest.raises(AssertionError):
        direct_model(tp_size=3)

    with pytest.raises(UnsupportedError) as caught:
        kernels.engine(replace(H100, tensor_parallel=3), model_shape(LLAMA))

    assert caught.value.failure.kind is FailureKind.UNSUPPORTED
    assert caught.value.failure.detail


@pytest.mark.parametrize(
    "sizes",
    [{"tensor_parallel": 16}, {"tensor_parallel": 64}, {"pipeline_parallel": 3}, {"pipeline_parallel": 5}],
    ids=str,
)
def test_sizes_that_the_package_takes_in_silence_are_refused_by_the_space(job: Job, sizes: dict[str, int]) -> None:
    assert direct_model(  # the trap: heads shared by 16, layers cut unevenly, and not a word
        "Qwen/Qwen3-32B", tp_size=sizes.get("tensor_parallel", 1), pp_size=sizes.get("pipeline_parallel", 1)
    )
    setting = Setting(model_shape("Qwen/Qwen3-32B"), find_gpu("h200"), 64, 1024)

    assert broken(replace(H100, gpu="h200_sxm", concurrency=64, **sizes), setting) is not None  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=next(iter(sizes))):
        build_space(job(model="Qwen/Qwen3-32B", hardware={"gpu": "h200", "gpus": 64}, space=sizes))


def test_no_load_at_all_trips_the_package_and_cannot_be_asked_for() -> None:
    with pytest.raises(UnboundLocalError):
        factory.get_backend("trtllm").run_agg(
            direct_model(), direct_database(), config.RuntimeConfig(batch_size=0, **DIRECT), ctx_tokens=8192
        )
    setting = Setting(model_shape(LLAMA), find_gpu("h100"), 8, 1024)

    found = broken(replace(H100, concurrency=0), setting)

    assert found is not None
    assert found[0] == "load"


def test_missing_data_is_an_unsupported_configuration(kernels: KernelData) -> None:
    with pytest.raises(UnsupportedError, match="no kernel data") as caught:
        priced(kernels, replace(H100, weights="int4_awq"))

    assert caught.value.failure.kind is FailureKind.UNSUPPORTED
    assert isinstance(caught.value.__cause__, PerfDataNotAvailableError)


def test_fp4_on_hopper_is_unsupported_here_and_refused_by_the_space(kernels: KernelData, job: Job) -> None:
    with pytest.raises(UnsupportedError) as caught:
        priced(kernels, replace(H100, weights="nvfp4"))
    assert isinstance(caught.value.__cause__, MissingSystemFlopsError | PerfDataNotAvailableError)

    with pytest.raises(SpecError, match="nvfp4 is not computed by h100_sxm"):
        build_space(job(space={"weights": "nvfp4"}))


def test_attention_of_mla_models_stays_in_bfloat16(kernels: KernelData) -> None:
    fp8 = replace(H100, gpu="h200_sxm", tensor_parallel=8, expert_parallel=8, weights="fp8_block", kv_cache="fp8")
    shape = model_shape("deepseek-ai/DeepSeek-R1")

    engine = kernels.engine(fp8, shape)

    assert engine.model.config.fmha_quant_mode is common.FMHAQuantMode.bfloat16
    assert engine.model.config.kvcache_quant_mode is common.KVCacheQuantMode.fp8
    assert estimate(engine, fp8, LENGTHS).failure is None


@pytest.mark.parametrize(("kv_cache", "fmha"), [("bfloat16", "bfloat16"), ("fp8", "fp8")])
def test_attention_of_other_models_follows_the_kv_cache(kernels: KernelData, kv_cache: str, fmha: str) -> None:
    engine = kernels.engine(replace(H100, kv_cache=kv_cache), model_shape(LLAMA))

    assert engine.model.config.fmha_quant_mode.name == fmha


def test_experts_and_attention_ranks_reach_the_package_as_it_counts_them(kernels: KernelData) -> None:
    wide = replace(H100, gpu="h200_sxm", tensor_parallel=8, expert_parallel=4, attention_dp=True)

    sizes = kernels.engine(wide, model_shape("Qwen/Qwen3-30B-A3B")).model.config

    assert (sizes.tp_size, sizes.attention_dp_size, sizes.moe_tp_size, sizes.moe_ep_size) == (1, 8, 2, 4)
    assert sizes.tp_size * sizes.attention_dp_size == sizes.moe_tp_size * sizes.moe_ep_size


def test_every_known_model_is_built_without_a_network(network_calls: list[str]) -> None:
    kernels = KernelData()
    refused = {}

    for name in known_models():
        shape = model_shape(name)
        weights = shape.checkpoint_weights
        width = 8 if shape.attention_heads % 8 == 0 else 4
        try:
            built: KernelEngine | None = kernels.engine(
                replace(H100, gpu="b200_sxm", tensor_parallel=width, expert_parallel=1, weights=weights), shape
            )
        except UnsupportedError as error:
            built, refused[name] = None, str(error)
        assert built is None or built.model is not None

    assert network_calls == []
    # a mixture of experts may be too fine for eight-way tensor parallelism, or its precision not measured
    assert not {name: why for name, why in refused.items() if "block_size" not in why and "data" not in why[16:]}
    assert len(refused) < 12


def test_an_unknown_model_never_tries_the_network(network_calls: list[str], job: Job) -> None:
    with pytest.raises(SpecError, match="not known here"):
        build_space(job(model="nobody/has-this-model"))

    assert network_calls == []


def test_the_packages_layers_heads_and_experts_are_ours(kernels: KernelData, network_calls: list[str]) -> None:
    for name in ("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-14B", "Qwen/Qwen3-235B-A22B", "openai/gpt-oss-20b"):
        shape = model_shape(name)
        engine = kernels.engine(replace(H100, gpu="b200_sxm", weights=shape.checkpoint_weights), shape)
        read = models.helpers._get_model_info(engine.model.model_path)

        assert (read["layers"], read["n"], read["n_kv"]) == (shape.layers, shape.attention_heads, shape.kv_heads)
        assert (read["num_experts"], read["topk"]) == (shape.experts, shape.experts_per_token)
    assert network_calls == []


def test_a_checkpoint_directory_is_priced_like_the_model_it_is(kernels: KernelData, tmp_path: Path) -> None:
    name = "meta-llama/Meta-Llama-3.1-8B"
    known = models.helpers._get_model_info(name)["raw_config"]
    (tmp_path / "config.json").write_text(json.dumps({**known, "architectures": ["LlamaForCausalLM"]}, default=str))

    assert priced(kernels, H100, str(tmp_path)) == priced(kernels, H100, name)


def test_only_what_the_package_raises_at_the_end_of_its_data_is_a_failure() -> None:
    with pytest.raises(UnsupportedError, match="no kernel data: PerfDataNotAvailableError"), failures_named():
        raise PerfDataNotAvailableError
    with pytest.raises(ZeroDivisionError), failures_named():
        raise ZeroDivisionError
