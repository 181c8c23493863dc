"""How steps are scheduled and launched: scheduler, CUDA graphs, torch.compile, adapters."""

from typing import Annotated, Literal

from pydantic import Field

from tuner.engines.tensorrt_llm.kv_cache import Fraction, NonNegativeInt, PositiveInt
from tuner.engines.tensorrt_llm.strict import Arguments


class CudaGraphConfig(Arguments):
    """Batch sizes of decode steps that are captured; with neither size given the engine captures up to 128."""

    batch_sizes: Annotated[list[PositiveInt], Field(min_length=1)] | None = None
    max_batch_size: NonNegativeInt = 0
    enable_padding: bool = False


class DynamicBatchConfig(Arguments):
    """Batch limits that follow the traffic (TensorRT backend)."""

    enable_batch_size_tuning: bool = True
    enable_max_num_tokens_tuning: bool = False
    dynamic_batch_moving_average_window: PositiveInt = 128


class SchedulerConfig(Arguments):
    """Which requests enter a step."""

    capacity_scheduler_policy: Literal["GUARANTEED_NO_EVICT", "MAX_UTILIZATION", "STATIC_BATCH"] = "GUARANTEED_NO_EVICT"
    context_chunking_policy: Literal["FIRST_COME_FIRST_SERVED", "EQUAL_PROGRESS"] | None = None
    dynamic_batch_config: DynamicBatchConfig | None = None


class TorchCompileConfig(Arguments):
    """What torch.compile does to the model."""

    enable_fullgraph: bool = True
    enable_inductor: bool = False
    enable_piecewise_cuda_graph: bool = False
    capture_num_tokens: list[PositiveInt] | None = None
    enable_userbuffers: bool = True
    max_num_streams: PositiveInt = 1


class LayerwiseBenchmarksConfig(Arguments):
    """Calibration of layer-wise benchmarks."""

    calibration_mode: Literal["NONE", "MARK", "COLLECT"] = "NONE"
    calibration_file_path: str | None = None
    calibration_layer_indices: list[NonNegativeInt] | None = None


class LoraConfig(Arguments):
    """LoRA adapters that the engine can load."""

    lora_dir: list[str] = Field(default_factory=list)
    lora_ckpt_source: Literal["hf", "nemo"] = "hf"
    max_lora_rank: PositiveInt = 64
    lora_target_modules: list[str] = Field(default_factory=list)
    trtllm_modules_to_hf_modules: dict[str, str] = Field(default_factory=dict)
    max_loras: PositiveInt | None = None
    max_cpu_loras: PositiveInt | None = None
    swap_gate_up_proj_lora_b_weight: bool = True


class PeftCacheConfig(Arguments):
    """Caches of adapter weights; sizes in bytes where they are not counts."""

    num_host_module_layer: NonNegativeInt = 0
    num_device_module_layer: NonNegativeInt = 0
    optimal_adapter_size: PositiveInt = 8
    max_adapter_size: PositiveInt = 64
    num_put_workers: PositiveInt = 1
    num_ensure_workers: PositiveInt = 1
    num_copy_streams: PositiveInt = 1
    max_pages_per_block_host: PositiveInt = 24
    max_pages_per_block_device: PositiveInt = 8
    device_cache_percent: Fraction = 0.02
    host_cache_size: NonNegativeInt = 1024**3
    lora_prefetch_dir: str | None = None
