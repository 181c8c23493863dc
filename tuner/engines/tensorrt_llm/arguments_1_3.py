"""What TensorRT-LLM 1.3 takes beyond 1.2 (`pytorch` backend).

Names and values: `tensorrt_llm/usage/llm_args_golden_manifest.json` and `llm_args.py` of NVIDIA/TensorRT-LLM after
1.3.0rc23 (Apache-2.0, looked up 2026-11); a field may be newer than the release at hand, so `paretune doctor` compares
with the installed class. What 1.2 took and newer versions drop is still taken here. Mappings that say nothing about
serving (telemetry, multimodal, placement) are not looked into.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from tuner.engines.tensorrt_llm.arguments import TrtllmArguments
from tuner.engines.tensorrt_llm.execution import CudaGraphConfig, SchedulerConfig
from tuner.engines.tensorrt_llm.kv_cache import CacheTransceiverConfig, KvCacheConfig, NonNegativeInt, PositiveInt
from tuner.engines.tensorrt_llm.parallel import AttentionDpConfig, MoeConfig, Nvfp4GemmConfig
from tuner.engines.tensorrt_llm.speculative_1_3 import SpeculativeConfig13
from tuner.engines.tensorrt_llm.strict import Arguments

Open = dict[str, JsonValue]
"""A mapping that is not looked into."""
MoeBackend13 = Literal[
    "AUTO",
    "CUTLASS",
    "CUTEDSL",
    "TRTLLM",
    "DEEPGEMM",
    "DENSEGEMM",
    "VANILLA",
    "TRITON",
    "WIDEEP",
    "MARLIN",
    "MEGAMOE_DEEPGEMM",
    "MEGAMOE_CUTEDSL",
]
Nvfp4Backends13 = Annotated[
    tuple[Literal["cutlass", "cublaslt", "cutedsl", "cuda_core", "marlin"], ...], Field(min_length=1, strict=False)
]


class BlockReuseConfig(Arguments):
    """Which blocks of the KV cache later requests may reuse."""

    policy: Literal["all_reusable", "per_request", "per_conversation"] = "all_reusable"
    max_num_turns: PositiveInt = 1


class KvCacheConfig13(KvCacheConfig):
    """The KV cache of 1.3: a second manager, a disk tier, and plain types by name."""

    dtype: Literal["auto", "float16", "bfloat16", "float32", "fp8", "fp8_ds_mla", "nvfp4"] = "auto"  # type: ignore[assignment]
    use_kv_cache_manager_v2: bool | Literal["auto"] = "auto"
    avg_seq_len: PositiveInt | None = None
    max_util_for_resume: Annotated[float, Field(ge=0, le=1)] = 0.95
    block_reuse_config: BlockReuseConfig | None = None
    disk_cache_size: NonNegativeInt | None = None
    disk_cache_path: str | None = None
    disk_prefetch_num_reqs: NonNegativeInt = 0
    enable_kv_pool_rebalance: bool = False
    enable_swa_scratch_reuse: bool = False
    fp8_context_mla_kv_len_cap: PositiveInt | None = None
    iteration_stats_interval: PositiveInt = 1
    kv_cache_event_hash_algo: Literal["auto", "v1_block_key", "v2_sha256", "v2_sha256_64"] = "auto"
    kv_events_config: Open | None = None
    kv_pool_rebalance_check_interval: NonNegativeInt = 0
    kv_pool_rebalance_cooldown_secs: float = 0
    kv_pool_rebalance_min_sampled_kv_caches: NonNegativeInt = 0
    kv_pool_rebalance_moving_average_decay: float = 0
    kv_pool_rebalance_ratio_threshold: float = 0
    kv_pool_rebalance_target_ratio_update_interval: NonNegativeInt = 0
    mamba_ssm_philox_rounds: NonNegativeInt = 0
    mamba_ssm_stochastic_rounding: bool = False
    mamba_state_config: Open | None = None
    pool_ratio: list[float] | None = None


class CudaGraphConfig13(CudaGraphConfig):
    """Captured decode or encoder steps."""

    mode: Literal["decode", "encode"] = "decode"
    num_tokens: Annotated[list[PositiveInt], Field(min_length=1)] | None = None
    max_num_token: NonNegativeInt = 0
    seq_lens: Annotated[list[PositiveInt], Field(min_length=1)] | None = None
    max_seq_len: NonNegativeInt = 0


class SchedulerConfig13(SchedulerConfig):
    """Which requests enter a step, in 1.3."""

    context_chunking_policy: Literal["FIRST_COME_FIRST_SERVED", "EQUAL_PROGRESS", "FORCE_CHUNK"] | None = None  # type: ignore[assignment]
    enable_prefix_aware_scheduling: bool = False
    use_python_scheduler: bool = False
    waiting_queue_policy: Literal["fcfs", "priority"] = "fcfs"


class MoeConfig13(MoeConfig):
    """The mixture-of-experts kernels of 1.3."""

    backend: MoeBackend13 = "AUTO"  # type: ignore[assignment]


class AttentionDpConfig13(AttentionDpConfig):
    """Balance among attention ranks, and routing by what their caches hold."""

    enable_kv_cache_aware_routing: bool = False
    kv_cache_routing_account_for_in_transfer: bool = False
    kv_cache_routing_cold_start_warmup: bool = False
    kv_cache_routing_conversation_affinity: bool = False
    kv_cache_routing_fair_share_multiplier: float = 1
    kv_cache_routing_load_balance_weight: float = 1
    kv_cache_routing_match_rate_threshold: float = 0
    kv_cache_routing_max_sessions: NonNegativeInt = 0
    kv_cache_routing_new_conv_placement: Literal["round_robin", "least_queued"] = "round_robin"


class CacheTransceiverConfig13(CacheTransceiverConfig):
    """How the KV cache is sent, in 1.3."""

    transceiver_runtime: Literal["CPP", "PYTHON", "auto"] | None = None
    enable_pipelined_transfer: bool = False
    kv_cache_bounce_size_mb: NonNegativeInt = 0
    kv_transfer_poll_interval_ms: PositiveInt | None = None


class KvCacheConnectorConfig13(Arguments):
    """A connector to an outside KV-cache store: by a preset's name, or by import path and class names."""

    connector: str | None = None
    connector_module: str | None = None
    connector_scheduler_class: str | None = None
    connector_worker_class: str | None = None
    server_url: str | None = None

    @model_validator(mode="after")
    def _named_in_full(self) -> Self:
        names = ("connector_module", "connector_scheduler_class", "connector_worker_class")
        missing = [name for name in names if getattr(self, name) is None]
        if self.connector is None and missing:
            raise ValueError(f"lacks {missing[0]}; give it, or connector: NAME for one that the engine knows")
        return self


class Nvfp4GemmConfig13(Nvfp4GemmConfig):
    """Kernels for NVFP4 matrix products, Marlin's among them."""

    allowed_backends: Nvfp4Backends13 = ("cutlass", "cublaslt", "cuda_core")  # type: ignore[assignment]


class TrtllmArguments13(TrtllmArguments):
    """What one TensorRT-LLM 1.3 engine is started with."""

    kv_cache_config: KvCacheConfig13 = KvCacheConfig13()
    cuda_graph_config: CudaGraphConfig13 | None = CudaGraphConfig13()
    scheduler_config: SchedulerConfig13 = SchedulerConfig13()
    moe_config: MoeConfig13 = MoeConfig13()
    attention_dp_config: AttentionDpConfig13 | None = None
    kv_connector_config: KvCacheConnectorConfig13 | None = None  # type: ignore[assignment]
    cache_transceiver_config: CacheTransceiverConfig13 | None = None
    nvfp4_gemm_config: Nvfp4GemmConfig13 = Nvfp4GemmConfig13()
    speculative_config: SpeculativeConfig13 | None = None  # type: ignore[assignment]
    sparse_attention_config: Open | None = None  # type: ignore[assignment]
    fail_fast_on_attention_window_too_large: bool = True
    load_format: Literal["auto", "AUTO", "dummy", "DUMMY", "vision_only", "VISION_ONLY", "gms", "GMS"] = "auto"  # type: ignore[assignment]

    checkpoint_io_policy: Literal["auto", "native", "rank_striped_read_ahead"] = "auto"
    generation_config: Literal["auto", "trtllm"] = "trtllm"
    disable_mm_encoder: bool = False
    encode_only: bool = False
    encoder_cuda_graph_config: CudaGraphConfig13 | None = None
    encoder_max_batch_size: PositiveInt | None = None
    encoder_max_num_tokens: PositiveInt | None = None
    enable_early_first_token_response: bool = False
    enable_encoder_decoder_mixed_cuda_graph: bool = False
    enable_energy_metrics: bool = False
    enable_in_graph_sampling: bool = False
    enable_low_latency_host_dispatch: bool = False
    enable_mla_skip_correction: bool = False
    mla_skip_correction_threshold: float = 0
    enable_resource_governor: bool = False
    enable_speculative_beam_history_d2h: bool = False
    iter_perf_stats_interval: PositiveInt = 1
    num_serve_frontends: PositiveInt = 1
    prefill_cuda_graph_backend: Literal["disabled", "piecewise", "breakable"] = "disabled"
    prefill_capture_num_tokens: list[PositiveInt] | None = None
    use_cute_dsl_bf16_bmm: bool = False
    use_cute_dsl_bf16_gemm: bool = False
    use_cute_dsl_blockscaling_bmm: bool = False
    use_cute_dsl_blockscaling_mm: bool = False
    use_fine_grained_sync: bool = False

    dwdp_config: Open | None = None
    gms_config: Open | None = None
    kv_cache_compression_config: Open | None = None
    multimodal_config: Open | None = None
    mx_config: Open | None = None
    prometheus_metrics_config: Open | None = None
    ray_placement_config: Open | None = None
    reorder_policy_config: Open | None = None
    sleep_config: Open | None = None
    telemetry_config: Open | None = None
