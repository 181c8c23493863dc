"""Precisions of weights and KV cache: which GPU computes them, and what the simulator calls them."""

from dataclasses import dataclass
from typing import Final

from tuner.space.hardware import Gpu
from tuner.space.models import ModelShape


@dataclass(frozen=True, slots=True)
class WeightPrecision:
    """A precision of the weights: its names in the kernel data, bits a weight, and the oldest GPU that computes it.

    `compute_capability` is NVIDIA's, times ten (80 Ampere, 89 Ada, 90 Hopper, 100 Blackwell).
    """

    name: str
    gemm: str
    moe: str
    bits: float
    compute_capability: int
    searched: bool


WEIGHTS: Final = {
    precision.name: precision
    for precision in (
        WeightPrecision("bfloat16", "bfloat16", "bfloat16", 16, 80, searched=True),
        WeightPrecision("fp8", "fp8", "fp8", 8, 89, searched=True),
        WeightPrecision("fp8_block", "fp8_block", "fp8_block", 8, 90, searched=True),
        WeightPrecision("nvfp4", "nvfp4", "nvfp4", 4.5, 100, searched=True),
        WeightPrecision("mxfp4", "bfloat16", "w4a16_mxfp4", 4.25, 90, searched=False),
        WeightPrecision("int4_awq", "int4_wo", "int4_wo", 4, 80, searched=False),
        WeightPrecision("int8_wo", "int8_wo", "bfloat16", 8, 80, searched=False),
        WeightPrecision("sq", "sq", "bfloat16", 8, 80, searched=False),
    )
}
KV_CACHES: Final = {"bfloat16": 80, "fp8": 89}
"""Oldest compute capability of each KV-cache type; NVFP4 caches have no kernel data."""


def supported_weights(gpu: Gpu) -> tuple[str, ...]:
    """Weight precisions that the GPU computes."""
    return tuple(name for name, precision in WEIGHTS.items() if precision.compute_capability <= gpu.compute_capability)


def supported_kv_caches(gpu: Gpu) -> tuple[str, ...]:
    """KV-cache types that the GPU computes with."""
    return tuple(name for name, capability in KV_CACHES.items() if capability <= gpu.compute_capability)


def default_weights(model: ModelShape, gpu: Gpu) -> tuple[str, ...]:
    """Weight precisions searched by default.

    A checkpoint quantised as it was trained (MXFP4) stays so. Any other is searched from its own precision downwards:
    nobody serves an FP8 checkpoint in bfloat16, at twice its memory, for what it does not hold.
    """
    supported = supported_weights(gpu)
    own = WEIGHTS[model.checkpoint_weights]
    if not own.searched:
        return (own.name,) if own.name in supported else ()
    return tuple(name for name in supported if WEIGHTS[name].searched and WEIGHTS[name].bits <= own.bits)
