"""Argument lists that make a quantised checkpoint, and the engines of the legacy TensorRT backend.

Post-training quantisation: Model Optimizer's `examples/llm_ptq/hf_ptq.py` (named `examples/hf_ptq` on its main branch).
TensorRT backend (1.2 and older): TensorRT-LLM's `examples/quantization/quantize.py`, `convert_checkpoint.py` of the
model's folder, and `trtllm-build`. Looked up 2026-11.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tuner.configuration import Configuration
from tuner.engines.tensorrt_llm.checkpoints import QFORMATS
from tuner.engines.tensorrt_llm.deployment import batch_ceiling
from tuner.errors import SpecError

CALIBRATION_SAMPLES: Final = 512
"""Samples that the scales are calibrated with: `hf_ptq.py`'s own default, written out."""

_CONVERTERS: Final[Mapping[str, str]] = {
    "LlamaForCausalLM": "llama",
    "MixtralForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen",
    "Qwen2MoeForCausalLM": "qwen",
    "Qwen3ForCausalLM": "qwen",
    "Qwen3MoeForCausalLM": "qwen",
    "NemotronForCausalLM": "nemotron",
}


def quantise_arguments(script: str, source: Path | str, weights: str, target: Path) -> tuple[str, ...]:
    """What follows `python3`: a checkpoint in `weights`, its KV cache left as it is, for that is a knob of its own."""
    words = [script, "--pyt_ckpt_path", str(source), "--qformat", QFORMATS[weights], "--kv_cache_qformat", "none"]
    return (*words, "--calib_size", str(CALIBRATION_SAMPLES), "--export_path", str(target))


def convert_arguments(
    examples: str, source: Path | str, architecture: str, configuration: Configuration, target: Path
) -> tuple[str, ...]:
    """What follows `python3`: a checkpoint of TensorRT-LLM's own format, cut for the ranks.

    Raises `SpecError` for an architecture that has no converter.
    """
    ranks = ["--tp_size", str(configuration.tensor_parallel), "--pp_size", str(configuration.pipeline_parallel)]
    wanted = ["--model_dir", str(source), "--output_dir", str(target), "--dtype", "bfloat16", *ranks]
    cache = ["--kv_cache_dtype", "fp8"] if configuration.kv_cache == "fp8" else []
    if configuration.weights in QFORMATS:
        script = f"{examples}/quantization/quantize.py"
        quantised = ["--qformat", configuration.weights, "--calib_size", str(CALIBRATION_SAMPLES), *cache]
        return (script, *wanted, *quantised)
    if cache:
        raise SpecError.of(
            "kv_cache", "the TensorRT backend calibrates an fp8 cache with quantised weights; use bfloat16"
        )
    if architecture not in _CONVERTERS:
        raise SpecError.of("backend", f"TensorRT-LLM has no converter of {architecture} here; use backend pytorch")
    return (f"{examples}/models/core/{_CONVERTERS[architecture]}/convert_checkpoint.py", *wanted)


def build_arguments(checkpoint: Path, configuration: Configuration, target: Path) -> tuple[str, ...]:
    """What follows `trtllm-build`; the longest sequence is the model's own, so that workloads share an engine."""
    sizes = [
        "--max_batch_size",
        str(batch_ceiling(configuration)),
        "--max_num_tokens",
        str(configuration.max_num_tokens),
    ]
    places = ["--checkpoint_dir", str(checkpoint), "--output_dir", str(target)]
    workers = str(configuration.tensor_parallel * configuration.pipeline_parallel)
    plugins = ["--gemm_plugin", "auto", "--use_paged_context_fmha", "enable", "--kv_cache_type", "paged"]
    return (*places, *sizes, *plugins, "--workers", workers)


def engine_parts(configuration: Configuration) -> tuple[str, ...]:
    """The knobs that a built engine depends on, for its key; run-time knobs share an engine."""
    knobs = configuration
    return (
        f"weights={knobs.weights}",
        f"kv_cache={knobs.kv_cache}",
        f"tensor_parallel={knobs.tensor_parallel}",
        f"pipeline_parallel={knobs.pipeline_parallel}",
        f"max_batch_size={batch_ceiling(knobs)}",
        f"max_num_tokens={knobs.max_num_tokens}",
    )
