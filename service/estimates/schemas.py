"""What an estimate takes and gives."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.jobs.schemas import FailureView
from tuner.configuration import Configuration, KnobValue
from tuner.metrics import Provenance
from tuner.spec import Engine, Pricing
from tuner.trial import Measurement


class EstimateBody(BaseModel):
    """One configuration under one load; knobs that are left out take the engine's defaults."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "model": "meta-llama/Llama-3.1-8B-Instruct",
                "gpu": "h100_sxm",
                "input_tokens": 1024,
                "output_tokens": 256,
                "concurrency": 32,
                "configuration": {"tensor_parallel": 2, "weights": "fp8"},
            }
        },
    )

    model: str = Field(min_length=1, max_length=500)
    gpu: str = Field(min_length=1, max_length=100)
    engine: Engine = Engine.TENSORRT_LLM
    input_tokens: int = Field(ge=1, le=10_000_000)
    output_tokens: int = Field(ge=1, le=10_000_000)
    concurrency: int = Field(ge=1, le=1_000_000, description="requests in flight per replica")
    configuration: dict[str, KnobValue] = Field(default_factory=dict, description="knobs by name")
    pricing: Pricing = Pricing()


class EstimateView(BaseModel):
    """The whole configuration and its figures, or why it has none."""

    configuration: dict[str, JsonValue]
    metrics: dict[str, float]
    provenance: dict[str, Provenance]
    failure: FailureView | None = None

    @classmethod
    def of(cls, configuration: Configuration, found: Measurement) -> Self:
        """The view of what the simulator found."""
        failure = found.failure
        return cls(
            configuration=dict(configuration.to_dict()),
            metrics=dict(found.metrics),
            provenance=dict(found.provenance),
            failure=FailureView(kind=failure.kind.value, detail=failure.detail) if failure else None,
        )
