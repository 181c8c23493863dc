"""What vLLM is told: the flags of `vllm serve` that a launch means, and which knobs it refuses together.

Flags: vLLM's engine arguments (docs.vllm.ai, 0.11 to 0.29), looked up 2026-11.
"""

import json
from typing import Final

from tuner.configuration import Configuration
from tuner.engines.base import Launch
from tuner.engines.checkpoint import illegal_weights, online_fp8
from tuner.engines.ports import HOST

_CACHE_TYPES: Final = {"bfloat16": "auto", "auto": "auto", "fp8": "fp8", "fp8_e5m2": "fp8_e5m2"}
# prompt look-up as vLLM's own documentation sets it
_LOOK_UP: Final = {"method": "ngram", "num_speculative_tokens": 5, "prompt_lookup_max": 4}


def arguments(model: str, launch: Launch, port: int | str, host: str = HOST) -> tuple[str, ...]:
    """What follows `vllm` on the command line."""
    knobs = launch.configuration
    # without chunked prefill vLLM refuses a step smaller than the longest sequence
    step = knobs.max_num_tokens if knobs.chunked_prefill else max(knobs.max_num_tokens, launch.sequence_tokens)
    words = ["serve", model, "--served-model-name", model, "--host", host, "--port", str(port)]
    words += ["--tensor-parallel-size", str(1 if knobs.attention_dp else knobs.tensor_parallel)]
    words += ["--data-parallel-size", str(knobs.data_parallel_ranks)]
    words += ["--pipeline-parallel-size", str(knobs.pipeline_parallel)]
    words += ["--enable-expert-parallel"] if knobs.expert_parallel > 1 else []
    words += ["--max-num-seqs", str(knobs.max_batch_size or knobs.requests_per_rank)]
    words += ["--max-num-batched-tokens", str(step), "--max-model-len", str(launch.sequence_tokens)]
    words += ["--kv-cache-dtype", _CACHE_TYPES[knobs.kv_cache]]
    words += ["--quantization", "fp8"] if online_fp8(model, knobs.weights) else []
    words += ["--enable-chunked-prefill" if knobs.chunked_prefill else "--no-enable-chunked-prefill"]
    words += ["--enable-prefix-caching" if launch.caches_prefixes else "--no-enable-prefix-caching"]
    words += [] if knobs.cuda_graphs else ["--enforce-eager"]
    words += ["--speculative-config", json.dumps(_LOOK_UP)] if knobs.speculative == "ngram" else []
    for name in ("gpu_memory_utilization", "block_size"):
        value = knobs.knob(name)
        words += [f"--{name.replace('_', '-')}", str(value)] if value is not None else []
    return tuple(words)


def illegal_together(model: str, configuration: Configuration) -> str | None:
    """Rules that vLLM holds its own arguments to, and those that keep a figure honest; with the mend."""
    knobs = configuration
    if knobs.expert_parallel not in (1, knobs.tensor_parallel):
        return f"vLLM divides experts over all ranks or none; use expert_parallel 1 or {knobs.tensor_parallel}"
    if knobs.speculative == "ngram" and knobs.pipeline_parallel > 1:
        return "vLLM does not speculate across pipeline stages; use pipeline_parallel 1 or speculative off"
    if knobs.max_batch_size is not None and knobs.max_num_tokens < knobs.max_batch_size:
        return (
            f"max_num_tokens {knobs.max_num_tokens} holds no token of each of {knobs.max_batch_size} requests; raise it"
        )
    return illegal_weights(model, knobs.weights)
