"""What the API says of GPUs and models."""

from pydantic import BaseModel, Field


class GpuView(BaseModel):
    """One GPU type that can be simulated."""

    name: str = Field(examples=["h100_sxm"])
    memory_gib: float = Field(examples=[80.0])
    memory_bandwidth_gbps: float = Field(examples=[3350.0], description="GB/s")
    tdp_watts: float = Field(examples=[700.0])
    gpus_per_node: int = Field(examples=[8])
    precisions: list[str] = Field(examples=[["bfloat16", "fp8"]], description="weight precisions that it computes")
    engines: list[str] = Field(examples=[["tensorrt-llm", "vllm"]], description="engines with kernel data")
    gpu_hour_usd: float | None = Field(examples=[2.5], description="default price of one GPU for one hour")


class HardwareView(BaseModel):
    """Every GPU type that can be simulated."""

    items: list[GpuView]


class ModelView(BaseModel):
    """One model that can be simulated without a network; counts, and the context in tokens."""

    name: str = Field(examples=["meta-llama/Llama-3.1-8B-Instruct"])
    architecture: str = Field(examples=["LlamaForCausalLM"])
    family: str = Field(examples=["dense"])
    layers: int
    attention_heads: int
    kv_heads: int
    experts: int
    context_tokens: int
    checkpoint_weights: str = Field(examples=["bfloat16"])
    is_moe: bool


class ModelsView(BaseModel):
    """Every model that can be simulated without a network; a checkpoint directory works too."""

    items: list[ModelView]
