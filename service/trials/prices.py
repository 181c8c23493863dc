"""Prices as query parameters: what the frontier would be at others than the job's."""

from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field


class PriceQuery(BaseModel):
    """Prices to try; those left out stay as the job has them."""

    model_config = ConfigDict(extra="forbid")

    gpu_hour_usd: float | None = Field(default=None, ge=0, description="dollars for one hour of one GPU")
    tier: Literal["hyperscaler", "neocloud", "retail"] | None = Field(default=None, description="of the price table")
    electricity_usd_per_kwh: float | None = Field(default=None, ge=0)
    pue: float | None = Field(default=None, ge=1, le=10)
    carbon_grams_per_kwh: float | None = Field(default=None, ge=0)
    utilisation: float | None = Field(default=None, gt=0, le=1)


def _changes(query: Annotated[PriceQuery, Query()]) -> dict[str, float | str]:
    changes: dict[str, float | str] = query.model_dump(exclude_none=True)
    return changes


PricesDep = Annotated[dict[str, float | str], Depends(_changes)]
