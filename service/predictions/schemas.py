"""What the API says of a configuration that was not measured."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class PredictionView(BaseModel):
    """A configuration that was not measured: simulated figures, and the same calibrated by what was measured."""

    model_config = ConfigDict(from_attributes=True)

    place: int = Field(description="0 is nearest to the frontier")
    configuration: dict[str, JsonValue]
    simulated: dict[str, float] = Field(description="by metric; provenance `simulated`")
    calibrated: dict[str, float] = Field(description="by metric; provenance `calibrated`")
    intervals: dict[str, tuple[float, float]] = Field(description="hold the calibrated figure with 90 % probability")
    chance_feasible: float = Field(description="chance of running and of keeping every limit", examples=[0.93])


class PredictionPage(BaseModel):
    """Predictions, those nearest to the frontier first; `next_cursor` is null on the last page."""

    items: list[PredictionView]
    next_cursor: str | None
