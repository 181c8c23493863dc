"""How work is divided among GPUs: mixture-of-experts kernels, attention and context parallelism."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from tuner.engines.tensorrt_llm.kv_cache import NonNegativeInt, PositiveInt
from tuner.engines.tensorrt_llm.strict import Arguments

MoeBackend = Literal["AUTO", "CUTLASS", "CUTEDSL", "DEEPGEMM", "TRITON", "TRTLLM", "VANILLA", "WIDEEP"]
"""Kernels for the experts; `AUTO` chooses by model."""


class MoeLoadBalancerConfig(Arguments):
    """Where the experts lie: slots in all, the layers' first assignments, and how many layers move per iteration."""

    num_slots: PositiveInt | None = None
    initial_global_assignments: dict[int, list[NonNegativeInt]] | None = None
    layer_updates_per_iter: NonNegativeInt = 0


def _balancer_kind(value: object) -> str:
    return "path" if isinstance(value, str) else "mapping"


LoadBalancer = Annotated[
    Annotated[MoeLoadBalancerConfig, Tag("mapping")] | Annotated[str, Tag("path")], Discriminator(_balancer_kind)
]


class MoeConfig(Arguments):
    """The mixture-of-experts layers; `load_balancer` is a mapping or the path of a YAML file with one."""

    backend: MoeBackend = "AUTO"
    max_num_tokens: PositiveInt | None = None
    load_balancer: LoadBalancer | None = None
    disable_finalize_fusion: bool = False
    use_low_precision_moe_combine: bool = False


class AttentionDpConfig(Arguments):
    """How requests are balanced among the ranks of data-parallel attention; waits in iterations."""

    enable_balance: bool = False
    timeout_iters: int = 50
    batching_wait_iters: int = 10


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class CpConfig(Arguments):
    """Context parallelism: its kind, and the sizes each kind needs."""

    cp_type: Annotated[Literal["ULYSSES", "STAR", "RING", "HELIX"], BeforeValidator(_upper)] = "ULYSSES"
    tokens_per_block: PositiveInt | None = None
    use_nccl_for_alltoall: bool | None = None
    cp_anchor_size: PositiveInt | None = None
    block_size: PositiveInt | None = None


Nvfp4Backend = Literal["cutlass", "cublaslt", "cutedsl", "cuda_core"]


class Nvfp4GemmConfig(Arguments):
    """Kernels that may be tried for NVFP4 matrix products; `cutedsl` makes starting longer."""

    allowed_backends: Annotated[tuple[Nvfp4Backend, ...], Field(min_length=1, strict=False)] = (
        "cutlass",
        "cublaslt",
        "cuda_core",
    )
