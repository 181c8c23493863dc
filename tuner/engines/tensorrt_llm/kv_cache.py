"""The KV cache: its type and size, and how it travels between engines."""

from typing import Annotated, Literal

from pydantic import Field

from tuner.engines.tensorrt_llm.strict import Arguments

Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]

KvCacheType = Literal["auto", "fp8", "nvfp4"]
"""`auto` follows the checkpoint; a bfloat16 cache is written `auto`."""


class KvCacheConfig(Arguments):
    """Size and type of the KV cache; lengths in tokens, sizes in bytes."""

    dtype: KvCacheType = "auto"
    free_gpu_memory_fraction: Fraction | None = 0.9
    enable_block_reuse: bool = True
    enable_partial_reuse: bool = True
    copy_on_partial_reuse: bool = True
    tokens_per_block: PositiveInt = 32
    max_tokens: PositiveInt | None = None
    max_gpu_total_bytes: NonNegativeInt = 0
    max_attention_window: Annotated[list[PositiveInt], Field(min_length=1)] | None = None
    sink_token_length: NonNegativeInt | None = None
    host_cache_size: NonNegativeInt | None = None
    onboard_blocks: bool = True
    cross_kv_cache_fraction: Fraction | None = None
    secondary_offload_min_priority: int | None = None
    event_buffer_max_size: NonNegativeInt = 0
    attention_dp_events_gather_period_ms: NonNegativeInt = 5
    use_uvm: bool = False
    mamba_ssm_cache_dtype: Literal["auto", "float16", "bfloat16", "float32"] = "auto"


class CacheTransceiverConfig(Arguments):
    """How the KV cache is sent from a prefill to a decode engine; times in milliseconds."""

    backend: Literal["DEFAULT", "UCX", "NIXL", "MOONCAKE", "MPI"] | None = None
    max_tokens_in_buffer: PositiveInt | None = None
    kv_transfer_timeout_ms: PositiveInt | None = None
    kv_transfer_sender_future_timeout_ms: PositiveInt | None = 1000


class KvCacheConnectorConfig(Arguments):
    """A connector to an outside KV-cache store, by import path and class names."""

    connector_module: str
    connector_scheduler_class: str
    connector_worker_class: str
