"""What the API says of itself."""

from typing import Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The database answers and has the schema that this version works on."""

    status: Literal["ready"] = "ready"
    revision: str | None = Field(examples=["0001"])


class Index(BaseModel):
    """Where to go from here."""

    name: Literal["paretune"] = "paretune"
    version: str
    docs: str = "/docs"
    openapi: str = "/openapi.json"
    jobs: str = "/v1/jobs"
    hardware: str = "/v1/hardware"
    models: str = "/v1/models"
