"""What SGLang is told: the flags of its server that a launch means, and which knobs it refuses together.

Flags: SGLang's `docs/advanced_features/server_arguments.md`, looked up 2026-11.
"""

from typing import Final

from tuner.configuration import Configuration
from tuner.engines.base import Launch
from tuner.engines.checkpoint import illegal_weights, online_fp8
from tuner.engines.ports import HOST

_CACHE_TYPES: Final = {"bfloat16": "auto", "auto": "auto", "fp8": "fp8_e4m3", "fp8_e5m2": "fp8_e5m2"}
# `MOE_RUNNER_BACKEND_CHOICES` of SGLang's server_args.py, 0.5 and newer
_MOE_RUNNERS: Final = (
    "auto",
    "aiter",
    "cutlass",
    "deep_gemm",
    "flashinfer_cutedsl",
    "flashinfer_cutlass",
    "flashinfer_mxfp4",
    "flashinfer_trtllm",
    "flashinfer_trtllm_routed",
    "hpc_ops",
    "humming",
    "intel_xpu",
    "marlin",
    "megamoe",
    "triton",
    "triton_kernel",
)


def arguments(model: str, launch: Launch, port: int | str, host: str = HOST) -> tuple[str, ...]:
    """What follows the program on the command line."""
    knobs = launch.configuration
    ranks = knobs.data_parallel_ranks
    batch = knobs.max_batch_size or knobs.requests_per_rank
    words = ["--model-path", model, "--served-model-name", model, "--host", host, "--port", str(port)]
    words += ["--tp-size", str(knobs.tensor_parallel), "--pp-size", str(knobs.pipeline_parallel)]
    words += ["--enable-dp-attention", "--dp-size", str(ranks)] if knobs.attention_dp else []
    words += ["--ep-size", str(knobs.expert_parallel)] if knobs.expert_parallel > 1 else []
    # SGLang divides both limits among the ranks of data-parallel attention
    words += ["--max-running-requests", str(batch * ranks)]
    words += ["--chunked-prefill-size", str(knobs.max_num_tokens * ranks if knobs.chunked_prefill else -1)]
    words += ["--max-prefill-tokens", str(knobs.max_num_tokens), "--context-length", str(launch.sequence_tokens)]
    words += ["--kv-cache-dtype", _CACHE_TYPES[knobs.kv_cache]]
    words += ["--quantization", "fp8"] if online_fp8(model, knobs.weights) else []
    words += ["--cuda-graph-max-bs", str(batch)] if knobs.cuda_graphs else ["--disable-cuda-graph"]
    words += [] if launch.caches_prefixes else ["--disable-radix-cache"]
    words += ["--speculative-algorithm", "NGRAM"] if knobs.speculative == "ngram" else []
    words += ["--moe-runner-backend", knobs.moe_backend.lower()] if knobs.moe_backend is not None else []
    for name in ("mem_fraction_static", "page_size", "schedule_policy"):
        value = knobs.knob(name)
        words += [f"--{name.replace('_', '-')}", str(value)] if value is not None else []
    return (*words, "--enable-metrics")


def illegal_together(model: str, configuration: Configuration) -> str | None:
    """Rules that SGLang holds its own arguments to, and those that keep a figure honest; with the mend."""
    knobs = configuration
    if knobs.tensor_parallel % knobs.expert_parallel:
        return f"expert_parallel {knobs.expert_parallel} does not divide tensor_parallel {knobs.tensor_parallel}"
    if knobs.speculative == "ngram" and knobs.attention_dp:
        return "SGLang does not look n-grams up with data-parallel attention; use attention_dp false or speculative off"
    if knobs.moe_backend is not None and knobs.moe_backend.lower() not in _MOE_RUNNERS:
        return f"SGLang has no MoE runner {knobs.moe_backend!r} for moe_backend; use one of {', '.join(_MOE_RUNNERS)}"
    page = knobs.knob("page_size")
    if knobs.chunked_prefill and isinstance(page, int) and knobs.max_num_tokens % page:
        return f"max_num_tokens {knobs.max_num_tokens} is no multiple of page_size {page}; choose one that is"
    return illegal_weights(model, knobs.weights)
