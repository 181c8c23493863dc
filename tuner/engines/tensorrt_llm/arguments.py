"""The LLM arguments of TensorRT-LLM 1.2 (`pytorch` backend), as `trtllm-serve MODEL --config FILE` takes them.

Names, defaults and allowed values were read in the sources of TensorRT-LLM 1.2 (`tensorrt_llm/llmapi/llm_args.py`,
NVIDIA, Apache-2.0; looked up 2026-11). Conditions over several fields are in `rules`.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue

from tuner.engines.tensorrt_llm.execution import (
    CudaGraphConfig,
    LayerwiseBenchmarksConfig,
    LoraConfig,
    PeftCacheConfig,
    SchedulerConfig,
    TorchCompileConfig,
)
from tuner.engines.tensorrt_llm.kv_cache import (
    CacheTransceiverConfig,
    Fraction,
    KvCacheConfig,
    KvCacheConnectorConfig,
    NonNegativeInt,
    PositiveInt,
)
from tuner.engines.tensorrt_llm.parallel import AttentionDpConfig, CpConfig, MoeConfig, Nvfp4GemmConfig
from tuner.engines.tensorrt_llm.speculative import SparseAttentionConfig, SpeculativeConfig
from tuner.engines.tensorrt_llm.strict import Arguments

AllreduceStrategy = Literal[
    "AUTO", "NCCL", "UB", "MINLATENCY", "ONESHOT", "TWOSHOT", "LOWPRECISION", "MNNVL", "NCCL_SYMMETRIC"
]


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class TrtllmArguments(Arguments):
    """What one TensorRT-LLM 1.2 engine is started with. Lengths in tokens, batch sizes in requests.

    With `enable_attention_dp` the batch size, the token budget and the KV cache are those of one rank.
    """

    # The model and its tokenizer
    model: str | None = None
    backend: Literal["pytorch"] = "pytorch"
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = "auto"
    revision: str | None = None
    load_format: Annotated[Literal["auto", "dummy", "vision_only"], BeforeValidator(_lower)] = "auto"
    checkpoint_format: str | None = None
    model_kwargs: dict[str, JsonValue] | None = None
    mm_encoder_only: bool = False
    force_dynamic_quantization: bool = False
    trust_remote_code: bool = False
    tokenizer: str | None = None
    tokenizer_mode: Literal["auto", "slow"] = "auto"
    tokenizer_revision: str | None = None
    custom_tokenizer: str | None = None
    skip_tokenizer_init: bool = False
    reasoning_parser: str | None = None

    # Parallelism
    tensor_parallel_size: PositiveInt = 1
    pipeline_parallel_size: PositiveInt = 1
    context_parallel_size: PositiveInt = 1
    gpus_per_node: PositiveInt | None = None
    moe_cluster_parallel_size: PositiveInt | None = None
    moe_tensor_parallel_size: PositiveInt | None = None
    moe_expert_parallel_size: PositiveInt | None = None
    enable_attention_dp: bool = False
    enable_lm_head_tp_in_adp: bool = False
    attention_dp_config: AttentionDpConfig | None = None
    pp_partition: list[PositiveInt] | None = None
    cp_config: CpConfig | None = None
    allreduce_strategy: AllreduceStrategy | None = "AUTO"
    orchestrator_type: Literal["rpc", "ray"] | None = None
    ray_worker_extension_cls: str | None = None

    # Sizes and scheduling
    max_batch_size: PositiveInt | None = 2048
    max_num_tokens: PositiveInt | None = 8192
    max_seq_len: PositiveInt | None = None
    max_input_len: PositiveInt | None = 1024
    max_beam_width: PositiveInt | None = 1
    scheduler_config: SchedulerConfig = SchedulerConfig()
    enable_chunked_prefill: bool = False
    disable_overlap_scheduler: bool = False
    batch_wait_timeout_ms: Annotated[float, Field(ge=0)] = 0
    batch_wait_timeout_iters: NonNegativeInt = 0
    batch_wait_max_tokens_ratio: Fraction = 0
    stream_interval: PositiveInt = 1
    num_postprocess_workers: NonNegativeInt = 0
    postprocess_tokenizer_dir: str | None = None

    # The KV cache
    kv_cache_config: KvCacheConfig = KvCacheConfig()
    kv_connector_config: KvCacheConnectorConfig | None = None
    cache_transceiver_config: CacheTransceiverConfig | None = None
    fail_fast_on_attention_window_too_large: bool = False

    # Kernels and launching; `cuda_graph_config: null` switches CUDA graphs off, leaving it out leaves them on
    cuda_graph_config: CudaGraphConfig | None = CudaGraphConfig()
    torch_compile_config: TorchCompileConfig | None = None
    moe_config: MoeConfig = MoeConfig()
    nvfp4_gemm_config: Nvfp4GemmConfig = Nvfp4GemmConfig()
    attn_backend: Literal["TRTLLM", "FLASHINFER", "VANILLA", "FLASHINFER_STAR_ATTENTION"] = "TRTLLM"
    sparse_attention_config: SparseAttentionConfig | None = None
    speculative_config: SpeculativeConfig | None = None
    enable_autotuner: bool = True
    enable_min_latency: bool = False
    sampler_type: Literal["auto", "TRTLLMSampler", "TorchSampler"] = "auto"
    sampler_force_async_worker: bool = False
    disable_flashinfer_sampling: bool = False
    guided_decoding_backend: Literal["xgrammar", "llguidance"] | None = None
    garbage_collection_gen0_threshold: NonNegativeInt = 20000
    env_overrides: dict[str, str | int | float | bool] | None = None
    enable_sleep: bool = False
    gather_generation_logits: bool = False

    # Adapters
    enable_lora: bool = False
    lora_config: LoraConfig | None = None
    peft_cache_config: PeftCacheConfig | None = None

    # Statistics
    print_iter_log: bool = False
    enable_iter_perf_stats: bool = False
    enable_iter_req_stats: bool = False
    iter_stats_max_iterations: NonNegativeInt | None = None
    request_stats_max_iterations: NonNegativeInt | None = None
    max_stats_len: PositiveInt = 1000
    return_perf_metrics: bool = False
    perf_metrics_max_requests: NonNegativeInt = 0
    otlp_traces_endpoint: str | None = None
    enable_layerwise_nvtx_marker: bool = False
    layer_wise_benchmarks_config: LayerwiseBenchmarksConfig = LayerwiseBenchmarksConfig()
