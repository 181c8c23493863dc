"""What a user's engine will serve: prompt and output lengths, and how requests arrive."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Strict, Tag, model_validator

Whole = Annotated[int, Strict()]
"""A whole number that is written as one: `true` and "8" are not."""


class SpecPart(BaseModel):
    """A part of a job spec: fields that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NormalLength(SpecPart):
    """Token counts drawn from a normal distribution, cut at one token."""

    mean: Whole = Field(ge=1, le=10_000_000)
    stdev: float = Field(ge=0, le=10_000_000)


class TraceLength(SpecPart):
    """Token counts read from a trace file."""

    trace: str = Field(min_length=1, description="path of a JSON Lines file with input_tokens and output_tokens")


def _length_kind(value: object) -> str | None:
    if isinstance(value, Mapping):
        return "trace" if "trace" in value else "distribution"
    if isinstance(value, TraceLength):
        return "trace"
    return "distribution" if isinstance(value, NormalLength) else "number"


TokenLength = Annotated[
    Annotated[Annotated[Whole, Field(ge=1, le=10_000_000)], Tag("number")]
    | Annotated[NormalLength, Tag("distribution")]
    | Annotated[TraceLength, Tag("trace")],
    Discriminator(_length_kind),
]


def _load_kind(value: object) -> str:
    return "auto" if isinstance(value, str) else "number"


Load = Annotated[
    Annotated[Literal["auto"], Tag("auto")] | Annotated[Annotated[Whole, Field(ge=1, le=1_000_000)], Tag("number")],
    Discriminator(_load_kind),
]


def _burstiness_kind(value: object) -> str:
    return "constant" if isinstance(value, str) else "number"


Burstiness = Annotated[
    Annotated[Literal["constant"], Tag("constant")] | Annotated[Annotated[float, Field(gt=0, le=1000)], Tag("number")],
    Discriminator(_burstiness_kind),
]


class Workload(SpecPart):
    """What the engine will serve: prompt and output lengths, and the load on the whole deployment.

    The load is closed (`concurrency` requests always in flight; `auto` searches it) or open (`request_rate` requests
    per second; `burstiness` shapes their gaps). What prompts share (`shared_prefix`) is only seen by measurements.
    """

    input_tokens: TokenLength = Field(description="prompt length in tokens")
    output_tokens: TokenLength = Field(description="output length in tokens")
    concurrency: Load | None = Field(default=None, description="requests in flight over all replicas, or auto")
    request_rate: float | None = Field(default=None, gt=0, le=1e6, description="requests per second over all replicas")
    burstiness: Burstiness = Field(
        default=1.0,
        description="shape of the gamma-distributed gaps between requests: 1 is Poisson, less is bursty; or constant",
    )
    shared_prefix: float = Field(
        default=0.0, ge=0, le=1, description="share of each prompt, from its start, that all prompts have in common"
    )

    @model_validator(mode="after")
    def _one_load(self) -> Self:
        if self.concurrency is not None and self.request_rate is not None:
            raise ValueError("concurrency and request_rate exclude each other; keep one of the two")
        if self.burstiness != 1.0 and self.request_rate is None:
            raise ValueError("burstiness shapes the arrivals of a request_rate; give one, or leave burstiness out")
        return self

    @property
    def is_open(self) -> bool:
        """Whether requests arrive whether or not others have ended: at a rate, or as a trace recorded them."""
        traced = isinstance(self.input_tokens, TraceLength) or isinstance(self.output_tokens, TraceLength)
        return self.request_rate is not None or (self.concurrency is None and traced)

    @property
    def searches_concurrency(self) -> bool:
        """Whether the number of requests in flight is part of the search."""
        return not self.is_open and self.concurrency in (None, "auto")
