"""The command that starts one replica of each engine, with a flag for every knob.

TensorRT-LLM takes its knobs from a YAML file; vLLM (0.11 and newer) and SGLang (0.5 and newer) take flags (their
command-line references, looked up 2026-11). Words come quoted; `$checkpoint`, `$host` and `$port` are the script's.
"""

from collections.abc import Callable, Mapping
from typing import Final

from tuner.configuration import Configuration
from tuner.engines.tensorrt_llm.deployment import batch_ceiling, sequence_ceiling
from tuner.errors import ExportError
from tuner.exports.base import ExportContext, known_model, workload_lengths
from tuner.spec import Engine

_SGLANG_MOE_RUNNERS: Final = frozenset(
    {
        "auto",
        "cutlass",
        "deep_gemm",
        "flashinfer_cutedsl",
        "flashinfer_cutlass",
        "flashinfer_mxfp4",
        "flashinfer_trtllm",
        "triton",
        "triton_kernel",
    }
)


def launch_words(context: ExportContext) -> list[str]:
    """The command of one replica; raises `ExportError` for an engine without one, or a knob it cannot be given."""
    engine = context.trial.configuration.engine
    if engine not in _WRITERS:
        raise ExportError(f"no script is written for engine {engine}; it is for {', '.join(_WRITERS)}")
    return _WRITERS[engine](context)


def _tensorrt_llm(_: ExportContext) -> list[str]:
    return ["trtllm-serve", '"$checkpoint"', "--config", '"$config"', "--host", '"$host"', "--port", '"$port"']


def _vllm(context: ExportContext) -> list[str]:
    knobs = context.trial.configuration
    _without(knobs, "moe_backend", "speculative")
    sequence = sequence_ceiling(workload_lengths(context).sequence_max, known_model(context))
    # Without chunked prefill vLLM refuses a step smaller than the longest sequence.
    step = knobs.max_num_tokens if knobs.chunked_prefill else max(knobs.max_num_tokens, sequence)
    words = ["vllm", "serve", '"$checkpoint"', "--host", '"$host"', "--port", '"$port"']
    words += ["--tensor-parallel-size", str(1 if knobs.attention_dp else knobs.tensor_parallel)]
    words += ["--data-parallel-size", str(knobs.data_parallel_ranks)]
    words += ["--pipeline-parallel-size", str(knobs.pipeline_parallel)]
    if knobs.expert_parallel not in (1, knobs.tensor_parallel):
        raise ExportError(
            f"vLLM divides experts over all {knobs.tensor_parallel} ranks or none, and trial {context.trial.number} "
            f"has expert_parallel {knobs.expert_parallel}; pick another trial"
        )
    if knobs.expert_parallel > 1:
        words.append("--enable-expert-parallel")
    words += ["--max-num-seqs", str(batch_ceiling(knobs)), "--max-num-batched-tokens", str(step)]
    words += ["--max-model-len", str(sequence), "--kv-cache-dtype", _kv_cache(knobs, "fp8")]
    words.append("--enable-chunked-prefill" if knobs.chunked_prefill else "--no-enable-chunked-prefill")
    if not knobs.cuda_graphs:
        words.append("--enforce-eager")
    return words


def _sglang(context: ExportContext) -> list[str]:
    knobs = context.trial.configuration
    _without(knobs, "speculative")
    ranks = knobs.data_parallel_ranks
    sequence = sequence_ceiling(workload_lengths(context).sequence_max, known_model(context))
    words = ["python3", "-m", "sglang.launch_server", "--model-path", '"$checkpoint"']
    words += ["--host", '"$host"', "--port", '"$port"']
    words += ["--tp-size", str(knobs.tensor_parallel), "--pp-size", str(knobs.pipeline_parallel)]
    if knobs.attention_dp:
        words += ["--enable-dp-attention", "--dp-size", str(ranks)]
    if knobs.expert_parallel > 1:
        words += ["--ep-size", str(knobs.expert_parallel)]
    # SGLang divides both limits among the ranks of data-parallel attention.
    words += ["--max-running-requests", str(batch_ceiling(knobs) * ranks)]
    if knobs.chunked_prefill:
        words += ["--chunked-prefill-size", str(knobs.max_num_tokens * ranks)]
    else:
        words += ["--chunked-prefill-size", "-1"]
    words += ["--max-prefill-tokens", str(knobs.max_num_tokens), "--context-length", str(sequence)]
    words += ["--kv-cache-dtype", _kv_cache(knobs, "fp8_e4m3")]
    words += ["--cuda-graph-max-bs", str(batch_ceiling(knobs))] if knobs.cuda_graphs else ["--disable-cuda-graph"]
    if (runner := knobs.moe_backend) is not None:
        if runner.lower() not in _SGLANG_MOE_RUNNERS:
            raise ExportError(f"SGLang has no MoE runner {runner!r}; it has {', '.join(sorted(_SGLANG_MOE_RUNNERS))}")
        words += ["--moe-runner-backend", runner.lower()]
    return words


def _without(knobs: Configuration, *names: str) -> None:
    for name in names:
        if (value := getattr(knobs, name)) not in (None, "off"):
            raise ExportError(f"{name} {value!r} cannot be written for {knobs.engine}; pick a trial without it")


def _kv_cache(knobs: Configuration, fp8: str) -> str:
    names = {"bfloat16": "auto", "auto": "auto", "fp8": fp8}
    if knobs.kv_cache not in names:
        raise ExportError(f"kv_cache {knobs.kv_cache!r} cannot be written for {knobs.engine}; pick another trial")
    return names[knobs.kv_cache]


_WRITERS: Final[Mapping[str, Callable[[ExportContext], list[str]]]] = {
    Engine.TENSORRT_LLM.value: _tensorrt_llm,
    Engine.VLLM.value: _vllm,
    Engine.SGLANG.value: _sglang,
}
LAUNCHED_ENGINES: Final = frozenset(_WRITERS)
"""Engines that a script can start."""
