"""The TensorRT backend of 1.2 and older: what may be said when its engines are served, and what is fixed in them.

Source: `TrtLlmArgs` in `llmapi/llm_args.py` of TensorRT-LLM 1.2 (looked up 2026-11).
"""

import yaml

from tuner.configuration import Configuration
from tuner.engines.tensorrt_llm.deployment import FREE_GPU_MEMORY_FRACTION, OWN_FIELDS, set_own_knobs
from tuner.engines.tensorrt_llm.versions import Generation

_RUN_TIME_KNOBS = ("free_gpu_memory_fraction", "block_reuse", "scheduler_policy")


def engine_yaml(configuration: Configuration, *, reuses_blocks: bool) -> str:
    """The run-time arguments of a built engine; its KV-cache type and sizes are fixed, and written nowhere else."""
    data: dict[str, object] = {
        "kv_cache_config": {
            "free_gpu_memory_fraction": FREE_GPU_MEMORY_FRACTION,
            "enable_block_reuse": reuses_blocks,
        },
        "scheduler_config": {"capacity_scheduler_policy": "GUARANTEED_NO_EVICT"},
        "enable_chunked_prefill": configuration.chunked_prefill,
    }
    set_own_knobs(data, configuration)
    return yaml.safe_dump(data, sort_keys=False)


def illegal_engine(configuration: Configuration, generation: Generation, version: str) -> str | None:
    """Why the TensorRT backend would refuse the configuration, with the mend."""
    knobs = configuration
    if not generation.has_tensorrt_backend:
        return f"TensorRT-LLM {version} has no tensorrt backend, it went after 1.2; use backend pytorch"
    if knobs.attention_dp or knobs.moe_backend is not None:
        return "attention_dp and moe_backend are the pytorch backend's; leave them out, or use backend pytorch"
    if knobs.expert_parallel > 1:
        return "expert_parallel is fixed to 1 on the tensorrt backend here; use 1, or backend pytorch"
    if knobs.speculative not in (None, "off"):
        return "speculative is not built into engines here; leave it out, or use backend pytorch"
    if knobs.kv_cache not in ("auto", "bfloat16", "fp8"):
        return f"kv_cache {knobs.kv_cache} is not the tensorrt backend's; use bfloat16 or fp8"
    unknown = [name for name in OWN_FIELDS if name not in _RUN_TIME_KNOBS and knobs.knob(name) is not None]
    return f"{unknown[0]} is the pytorch backend's; leave it out, or use backend pytorch" if unknown else None
