"""Settings of the service, read once from `PARETUNE_*` environment variables."""

from enum import StrEnum
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from service.errors import FieldProblem, SettingsError

DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
"""The driver behind each scheme of `PARETUNE_DATABASE_URL`."""


class LogFormat(StrEnum):
    """How log lines are written on standard error."""

    TEXT = "text"
    JSON = "json"


class Settings(BaseSettings):
    """What a deployment sets; every field is the environment variable `PARETUNE_` + its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="PARETUNE_", frozen=True, extra="ignore")

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("paretune")),
        description="folder of what the service keeps on disk; the default database lies there",
    )
    database_url: str | None = Field(
        default=None, description="sqlite:///PATH or postgresql://…; default: paretune.db in the data folder"
    )
    host: str = Field(default="127.0.0.1", description="address the API listens on")
    port: int = Field(default=8321, ge=0, le=65535, description="port the API listens on; 0 picks a free one")
    log_format: LogFormat = Field(default=LogFormat.TEXT, description="text or json")
    api_keys: str = Field(default="", description="not supported yet: must stay empty")
    executor: Literal["local"] = Field(default="local", description="where workers run jobs: local")
    allow_commands: bool = Field(
        default=False,
        description="whether a job may name a command to start (engine command): it runs as the worker does",
    )
    allow_power_control: bool = Field(
        default=False,
        description="whether jobs that say `allow_power_control: true` may set power limits and clocks of this worker's "
        "GPUs; needs root",
    )
    machine_dir: Path | None = Field(
        default=None,
        description="folder of what concerns the machine, whichever service uses it: GPUs in use, power as it was before; "
        "default: the data folder",
    )
    migrate: bool | None = Field(
        default=None, description="whether the API brings the schema up to date as it starts; default: only on SQLite"
    )

    trtllm_command: str = Field(
        default="",
        description="how TensorRT-LLM's programs are started in its own environment: words before a program's name, or "
        "the path of `trtllm-serve`; default: programs on PATH",
    )
    trtllm_image: str = Field(default="", description="container image of TensorRT-LLM, in place of a command")
    trtllm_quantiser: str = Field(
        default="",
        description="path there of Model Optimizer's `hf_ptq.py`; without it quantised checkpoints must be given",
    )
    trtllm_examples: str = Field(
        default="", description="path there of TensorRT-LLM 1.2's `examples`, for the `tensorrt` backend alone"
    )
    artefacts_dir: Path | None = Field(
        default=None, description="folder of quantised checkpoints and built engines; default: in the data folder"
    )
    artefacts_gib: float = Field(
        default=500.0, gt=0, description="most GiB of artefacts that are kept; the least lately used go first"
    )

    measurements_days: float = Field(
        default=30.0, gt=0, description="days that engines' logs and requests' records are kept in the data folder"
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value is not None:
            _parsed(value)
        return value

    @field_validator("executor", mode="before")
    @classmethod
    def _known_executor(cls, value: object) -> object:
        if value != "local":
            raise ValueError(f"executor {value!r} does not exist yet; use local")
        return value

    @field_validator("api_keys")
    @classmethod
    def _no_keys_yet(cls, value: str) -> str:
        if value:
            raise ValueError("API keys are not supported yet; unset it and keep the API on a private address")
        return value

    @property
    def url(self) -> URL:
        """The database's URL with the driver that paretune uses for it."""
        return database_url(self.database_url, self.data_dir)

    @property
    def machine_folder(self) -> Path:
        """Where GPUs in use and changes of their power are written down."""
        return (self.machine_dir or self.data_dir).expanduser()

    @property
    def migrates(self) -> bool:
        """Whether the API applies migrations as it starts."""
        return self.url.get_backend_name() == "sqlite" if self.migrate is None else self.migrate


def load_settings() -> Settings:
    """The settings of this process's environment.

    Raises `SettingsError` that names each wrong variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            FieldProblem(f"PARETUNE_{str(item['loc'][0]).upper()}", item["msg"].removeprefix("Value error, "))
            for item in error.errors(include_url=False)
        ]
        raise SettingsError("; ".join(f"{p.field}: {p.message}" for p in problems), problems) from None


def database_url(given: str | None, data_dir: Path) -> URL:
    """The URL that `given` (or the default in `data_dir`) stands for, with paretune's driver."""
    if given is None:
        return URL.create("sqlite", database=str(data_dir.expanduser() / "paretune.db"))
    return _parsed(given)


def _parsed(given: str) -> URL:
    try:
        url = make_url(given)
    except ArgumentError:
        raise ValueError("is no database URL; give sqlite:///PATH or postgresql://USER@HOST/NAME") from None
    driver = DRIVERS.get(url.drivername)
    if driver is None:
        raise ValueError(f"no driver for {url.drivername!r}; give sqlite:///PATH or postgresql://USER@HOST/NAME")
    if driver == "sqlite" and (not url.database or url.database == ":memory:" or "mode=memory" in given):
        raise ValueError("a database in memory cannot be shared with the worker; give sqlite:///PATH")
    return url.set(drivername=driver)
