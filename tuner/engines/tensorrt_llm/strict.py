"""The base of every TensorRT-LLM argument model."""

from pydantic import BaseModel, ConfigDict


class Arguments(BaseModel):
    """A group of arguments: unknown fields are refused, values are not coerced from another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
