"""Writes a configuration as TensorRT-LLM arguments: every knob, so that no default of the engine decides."""

from typing import Final

import yaml

from tuner.configuration import Configuration
from tuner.engines.tensorrt_llm.arguments import TrtllmArguments
from tuner.engines.tensorrt_llm.check import parse_arguments
from tuner.engines.tensorrt_llm.rules import Surroundings
from tuner.errors import SpecError
from tuner.space.hardware import Gpu
from tuner.space.models import ModelShape
from tuner.spec import Engine

SEQUENCE_MARGIN_TOKENS: Final = 64
"""Room over the longest request for chat template and special tokens; NVIDIA's own examples leave 20 to 200."""
FREE_GPU_MEMORY_FRACTION: Final = 0.9
"""Share of the memory left after loading that the KV cache takes (the engine's default, written out)."""

OWN_FIELDS: Final = {
    "free_gpu_memory_fraction": "kv_cache_config.free_gpu_memory_fraction",
    "tokens_per_block": "kv_cache_config.tokens_per_block",
    "block_reuse": "kv_cache_config.enable_block_reuse",
    "scheduler_policy": "scheduler_config.capacity_scheduler_policy",
    "stream_interval": "stream_interval",
    "autotuner": "enable_autotuner",
}
"""Where each knob of TensorRT-LLM's own stands among its arguments."""

_KV_CACHE_TYPES: Final = {"bfloat16": "auto", "auto": "auto", "fp8": "fp8", "nvfp4": "nvfp4"}
_SPECULATIVE_FORMS: Final = "off, mtp:TOKENS, ngram:TOKENS, eagle3:TOKENS:MODEL or draft_target:TOKENS:MODEL"
_DRAFTERS: Final = {"ngram": "NGram", "eagle3": "Eagle3", "draft_target": "Draft_Target"}


def arguments_of(
    configuration: Configuration,
    sequence_tokens: int,
    model: ModelShape | None = None,
    gpu: Gpu | None = None,
    *,
    reuses_blocks: bool = True,
    version: str = "1.2",
) -> TrtllmArguments:
    """The arguments of one replica for a version of the engine; `sequence_tokens` is the longest sequence.

    With attention data parallelism batch and token limits are those of one rank. `reuses_blocks`: what begins like an
    earlier prompt is not computed again; the `block_reuse` knob goes before it. Raises `SpecError` when the engine is
    another, a knob has no counterpart, or TensorRT-LLM refuses the combination.
    """
    if configuration.engine != Engine.TENSORRT_LLM:
        raise SpecError.of(
            "engine", f"these are the arguments of tensorrt-llm, and the engine is {configuration.engine}"
        )
    data: dict[str, object] = {
        "backend": "pytorch",
        "tensor_parallel_size": configuration.tensor_parallel,
        "pipeline_parallel_size": configuration.pipeline_parallel,
        **_expert_parallelism(configuration, model),
        "enable_attention_dp": configuration.attention_dp,
        "max_batch_size": batch_ceiling(configuration),
        "max_num_tokens": configuration.max_num_tokens,
        "max_seq_len": sequence_ceiling(sequence_tokens, model),
        "enable_chunked_prefill": configuration.chunked_prefill,
        "kv_cache_config": {
            "dtype": _kv_cache_type(configuration.kv_cache),
            "free_gpu_memory_fraction": FREE_GPU_MEMORY_FRACTION,
            "enable_block_reuse": reuses_blocks and (model is None or model.family != "hybrid"),
        },
        "cuda_graph_config": _cuda_graphs(configuration),
        "scheduler_config": {"capacity_scheduler_policy": "GUARANTEED_NO_EVICT"},
    }
    if configuration.moe_backend is not None:
        data["moe_config"] = {"backend": configuration.moe_backend.upper()}
    if (speculative := _speculative(configuration.speculative)) is not None:
        data["speculative_config"] = speculative
    set_own_knobs(data, configuration)
    return parse_arguments(data, version=version, surroundings=Surroundings(model, gpu, configuration.weights))


def set_own_knobs(data: dict[str, object], configuration: Configuration) -> None:
    """Writes the knobs that TensorRT-LLM alone has where they belong."""
    for name, path in OWN_FIELDS.items():
        value = configuration.knob(name)
        if value is None:
            continue
        parent, _, field = path.rpartition(".")
        target = data.setdefault(parent, {}) if parent else data
        if isinstance(target, dict):
            target[field] = value


def batch_ceiling(configuration: Configuration) -> int:
    """Requests that the scheduler of one attention rank may run at once; covers the load when the knob is not set."""
    return configuration.max_batch_size or configuration.requests_per_rank


def sequence_ceiling(longest: int, model: ModelShape | None = None) -> int:
    """Tokens of the longest sequence the engine must hold, within the model's context where that is known."""
    wanted = longest + SEQUENCE_MARGIN_TOKENS
    if model is None or model.context_tokens == 0:
        return wanted
    return max(min(wanted, model.context_tokens), longest)


def to_yaml(arguments: TrtllmArguments) -> str:
    """The arguments that were set, as YAML for `trtllm-serve --config`; read back they give equal arguments."""
    data = arguments.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _expert_parallelism(configuration: Configuration, model: ModelShape | None) -> dict[str, int]:
    is_moe = model.is_moe if model is not None else configuration.expert_parallel > 1
    if not is_moe:
        return {}
    return {
        "moe_expert_parallel_size": configuration.expert_parallel,
        "moe_tensor_parallel_size": configuration.tensor_parallel // configuration.expert_parallel,
    }


def _cuda_graphs(configuration: Configuration) -> dict[str, object] | None:
    if not configuration.cuda_graphs:
        return None
    return {"enable_padding": True, "max_batch_size": batch_ceiling(configuration)}


def _kv_cache_type(name: str) -> str:
    if name not in _KV_CACHE_TYPES:
        raise SpecError.of("kv_cache", f"{name!r} is no KV-cache type of TensorRT-LLM; use bfloat16, fp8 or nvfp4")
    return _KV_CACHE_TYPES[name]


def _speculative(knob: str | None) -> dict[str, object] | None:
    if knob is None or knob == "off":
        return None
    kind, _, rest = knob.partition(":")
    tokens, _, draft_model = rest.partition(":")
    if not tokens.isdecimal() or (kind != "mtp" and kind not in _DRAFTERS):
        raise SpecError.of("speculative", f"{knob!r} is not understood; write {_SPECULATIVE_FORMS}")
    if kind == "mtp":
        return {"decoding_type": "MTP", "num_nextn_predict_layers": int(tokens)}
    config: dict[str, object] = {"decoding_type": _DRAFTERS[kind], "max_draft_len": int(tokens)}
    if draft_model:
        config["speculative_model"] = draft_model
    return config
