"""From a measured serving point to the engine that the kernel data prices: model, precisions, step times, memory."""

import math
from dataclasses import dataclass
from typing import Any, Final

from aiconfigurator_core.sdk import common, config
from aiconfigurator_core.sdk.backends import factory
from aiconfigurator_core.sdk.models import get_model
from aiconfigurator_core.sdk.rust_engine_step import _cached_engine_handle
from aiconfigurator_core.sdk.utils import HuggingFaceDownloadError

from tuner.configuration import Configuration
from tuner.errors import KernelDataError, SpecError
from tuner.simulator.closed_form import context_tokens_per_step
from tuner.simulator.fidelity.names import find_model
from tuner.simulator.fidelity.procedure import SimulatedEngine, prompt_lengths, requests_per_rank, token_budget
from tuner.simulator.fidelity.serving_table import MeasuredPoint
from tuner.simulator.kernel_data import KernelData, UnsupportedError, failures_named
from tuner.simulator.latency.calibration import kernel_family
from tuner.simulator.latency.steps import fill_step_times
from tuner.space.hardware import SIMULATOR_BACKENDS, find_gpu
from tuner.space.models import ModelShape, bundled_configs
from tuner.space.precision import WEIGHTS

ENGINE_NAMES: Final = {backend: engine.value for engine, backend in SIMULATOR_BACKENDS.items()}
KV_CACHE_SHARE: Final = 0.9
"""Share of memory given to the KV cache: of what is free (TensorRT-LLM), of all of it (vLLM, SGLang)."""
_GIB: Final = 2.0**30
_FP4_CHECKPOINTS: Final = {
    "deepseek-ai/DeepSeek-R1": "nvidia/DeepSeek-V3.1-NVFP4",
    "deepseek-ai/DeepSeek-V3": "nvidia/DeepSeek-V3.1-NVFP4",
    "moonshotai/Kimi-K2.5": "nvidia/Kimi-K2.5-NVFP4",
    "zai-org/GLM-5": "nvidia/GLM-5-NVFP4",
    "MiniMaxAI/MiniMax-M2.5": "nvidia/MiniMax-M2.5-NVFP4",
    "Qwen/Qwen3.5-397B-A17B": "nvidia/Qwen3.5-397B-A17B-NVFP4",
}
"""Checkpoints in NVFP4 whose files say which layers are."""
_FP8_BLOCK_MODELS: Final = ("DeepSeek", "Qwen3-235B", "Qwen3-30B", "Qwen3-Coder-480B", "GLM", "MiniMax", "Qwen3.5")
"""Families whose FP8 checkpoints have block scales."""


@dataclass(frozen=True, slots=True)
class Precisions:
    """The kernel data's words for a row's precisions; `None` leaves one to the checkpoint's own files."""

    checkpoint: str
    weights: str
    gemm: str | None
    moe: str | None
    kv_cache: str | None
    context: str | None
    workload: str = ""


@dataclass(frozen=True, slots=True)
class ServingEngine:
    """An engine of one point: its step times and memory, its means by the closed formula, and its configuration."""

    engine: SimulatedEngine
    model: ModelShape
    configuration: Configuration
    formula: tuple[float, float, float] | None


def precisions_of(point: MeasuredPoint, model: ModelShape) -> Precisions:
    """What the row's one word of precision stands for; raises `UnsupportedError` for one that is not known."""
    name, word = model.simulator_name, point.precision.lower()
    if "gpt-oss" in name:
        moe = "w4a16_mxfp4" if point.system.startswith("h") else "w4a8_mxfp4_mxfp8"
        context = "fp8" if point.engine == "trtllm" else "bfloat16"
        return Precisions(name, "mxfp4", "bfloat16", moe, "fp8", context, "balanced")
    if word in ("fp4", "nvfp4"):
        return Precisions(_FP4_CHECKPOINTS.get(name, name), "nvfp4", "nvfp4", "nvfp4", "fp8", "fp8")
    if word.startswith("fp8"):
        scaled = word == "fp8_block" or any(family in name for family in _FP8_BLOCK_MODELS)
        weights = "fp8_block" if scaled else "fp8"
        return Precisions(name, weights, weights, weights, "fp8", "fp8")
    if word.startswith("int4"):
        return Precisions(name, "int4_awq", None, None, None, None)
    if word in ("", "bf16", "bfloat16", "fp16", "float16"):
        return Precisions(name, "bfloat16", "bfloat16", "bfloat16", "bfloat16", "bfloat16")
    raise UnsupportedError(f"precision {point.precision!r} is not known; known: bf16, fp8, fp4, int4")


def serving_engine(point: MeasuredPoint, kernels: KernelData) -> ServingEngine:
    """The engine of a point; raises `UnsupportedError` where the kernel data ends."""
    shape = find_model(point.model)
    if shape is None:
        raise UnsupportedError(f"model {point.model} is not known here")
    try:
        gpu = find_gpu(point.system).name
    except SpecError as error:
        raise UnsupportedError(str(error)) from None
    precisions = precisions_of(point, shape)
    configuration = _configuration(point, gpu, precisions)
    model, database, steps = _kernels(point, precisions, shape, configuration, kernels)
    rank = requests_per_rank(point)
    with failures_named():
        clock = fill_step_times(
            steps,
            prompt_tokens=round(prompt_lengths(point).mean),
            max_context_tokens=token_budget(point),
            max_requests=rank,
            max_length=point.input_tokens + point.output_tokens,
            ranks=point.attention_dp,
        )
        capacity = _kv_tokens(model, database, point)
    engine = SimulatedEngine(clock, capacity, kernel_family(str(model.model_family)), int(model._num_layers))
    return ServingEngine(engine, shape, configuration, _formula(model, database, point, configuration))


def _configuration(point: MeasuredPoint, gpu: str, precisions: Precisions) -> Configuration:
    return Configuration(
        engine=ENGINE_NAMES[point.engine],
        gpu=gpu,
        tensor_parallel=point.tensor_parallel * point.attention_dp,
        pipeline_parallel=point.pipeline_parallel,
        expert_parallel=point.moe_expert_parallel,
        attention_dp=point.attention_dp > 1,
        weights=precisions.weights,
        kv_cache="fp8" if precisions.kv_cache == "fp8" else "bfloat16",
        max_batch_size=requests_per_rank(point) + 1,
        max_num_tokens=token_budget(point),
        concurrency=point.concurrency,
        chunked_prefill=point.engine != "trtllm",
    )


def _kernels(
    point: MeasuredPoint, precisions: Precisions, shape: ModelShape, configuration: Configuration, kernels: KernelData
) -> tuple[Any, Any, Any]:
    """Model, database and step engine; context attention falls back to bfloat16 where FP8 has no data (MLA)."""
    if configuration.weights not in WEIGHTS or shape.simulator_name not in bundled_configs():
        built = kernels.engine(configuration, shape)
        return built.model, built.database, built.steps
    try:
        database = kernels.database(configuration.engine, configuration.gpu)
    except KernelDataError as error:
        raise UnsupportedError(str(error)) from None
    failure: UnsupportedError | None = None
    for context in dict.fromkeys((precisions.context, None if precisions.context is None else "bfloat16")):
        try:
            with failures_named():
                model = get_model(precisions.checkpoint, _model_config(point, precisions, context), point.engine)
                steps = _cached_engine_handle(model, database)
                steps.predict_prefill_latency(bs=1, isl=256)
                steps.decode_step_latency(1, 256, 2)
        except UnsupportedError as error:
            failure = error
        except HuggingFaceDownloadError:
            raise UnsupportedError(
                f"{precisions.checkpoint} is not among the shapes at hand, and no network is asked"
            ) from None
        else:
            return model, database, steps
    raise failure or UnsupportedError("the kernel data has no engine like this")


def _model_config(point: MeasuredPoint, precisions: Precisions, context: str | None) -> Any:
    moe_tensor, moe_expert = point.moe_tensor_parallel, point.moe_expert_parallel
    if precisions.workload and point.engine == "trtllm":
        moe_tensor, moe_expert = 1, moe_tensor * moe_expert
    found = config.ModelConfig(
        tp_size=point.tensor_parallel,
        pp_size=point.pipeline_parallel,
        attention_dp_size=point.attention_dp,
        moe_tp_size=moe_tensor,
        moe_ep_size=moe_expert,
        gemm_quant_mode=common.GEMMQuantMode[precisions.gemm] if precisions.gemm else None,
        moe_quant_mode=common.MoEQuantMode[precisions.moe] if precisions.moe else None,
        kvcache_quant_mode=common.KVCacheQuantMode[precisions.kv_cache] if precisions.kv_cache else None,
        fmha_quant_mode=common.FMHAQuantMode[context] if context else None,
    )
    if precisions.workload:
        found.workload_distribution = precisions.workload
    return found


def _kv_tokens(model: Any, database: Any, point: MeasuredPoint) -> int:
    """Tokens that the KV cache of one attention rank holds."""
    length = point.input_tokens + point.output_tokens
    backend = factory.get_backend(point.engine)
    budget = token_budget(point)
    memory = backend._get_memory_usage(
        model, database, 1, 1, point.input_tokens, point.output_tokens, num_tokens=budget
    )
    used = sum(memory[part] for part in ("weights", "activations", "nccl", "others"))
    capacity = database.system_spec["gpu"]["mem_capacity"] / _GIB
    per_token = model.get_kvcache_bytes_per_sequence(length) / length / _GIB
    free = KV_CACHE_SHARE * (capacity - used) if point.engine == "trtllm" else KV_CACHE_SHARE * capacity - used
    return max(0, int(free / per_token))


def _formula(
    model: Any, database: Any, point: MeasuredPoint, configuration: Configuration
) -> tuple[float, float, float] | None:
    """TTFT and TPOT in ms and output tokens/s/GPU by the package's closed formula; `None` where it has holes.

    It is asked at its best: prompts of a step as the product itself counts them. With a fixed 8,192 tokens, as its own
    command line has it, its TTFT errs by a sixth more.
    """
    batch = requests_per_rank(point)
    runtime = config.RuntimeConfig(isl=point.input_tokens, osl=point.output_tokens, batch_size=batch)
    context = context_tokens_per_step(configuration, point.input_tokens, batch)
    try:
        with failures_named():
            backend = factory.get_backend(point.engine)
            found = backend.run_agg(model, database, runtime, ctx_tokens=context).get_result_dict()
    except UnsupportedError:
        return None
    figures = tuple(float(found[key]) for key in ("ttft", "tpot", "tokens/s/gpu"))
    return (figures[0], figures[1], figures[2]) if all(map(math.isfinite, figures)) else None
