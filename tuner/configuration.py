"""What an engine is set to: the knobs of one deployment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final, Self

KnobValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Configuration:
    """The knobs of one engine deployment; `None` leaves a knob to the engine's own default.

    A replica has `tensor_parallel × pipeline_parallel` GPUs; with `attention_dp` the same GPUs hold attention in
    data parallel. `expert_parallel` divides `tensor_parallel`. `concurrency` counts requests in flight per replica,
    over all its ranks; `max_batch_size` is the ceiling of the scheduler of one rank. Power in watts, clock in MHz.
    `options` are knobs that only this engine has, by name (sorted).
    """

    engine: str
    gpu: str
    replicas: int = 1
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    expert_parallel: int = 1
    attention_dp: bool = False
    weights: str = "bfloat16"
    kv_cache: str = "bfloat16"
    max_batch_size: int | None = None
    max_num_tokens: int = 8192
    concurrency: int = 1
    chunked_prefill: bool = False
    cuda_graphs: bool = True
    moe_backend: str | None = None
    speculative: str | None = None
    power_limit_watts: int | None = None
    gpu_clock_mhz: int | None = None
    options: tuple[tuple[str, KnobValue], ...] = ()

    @property
    def gpus_per_replica(self) -> int:
        """GPUs of one replica."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def gpus(self) -> int:
        """GPUs of the whole deployment, replicas included."""
        return self.gpus_per_replica * self.replicas

    @property
    def data_parallel_ranks(self) -> int:
        """Ranks among which the attention, and so the requests, are divided."""
        return self.tensor_parallel if self.attention_dp else 1

    @property
    def requests_per_rank(self) -> int:
        """Requests in flight on the fullest attention rank (count)."""
        return -(-self.concurrency // self.data_parallel_ranks)

    def knob(self, name: str) -> KnobValue | None:
        """The value of a knob, the engine's own ones included; `None` where it is not set."""
        if name in KNOBS:
            value: KnobValue | None = getattr(self, name)
            return value
        return dict(self.options).get(name)

    def to_dict(self) -> dict[str, KnobValue]:
        """Knobs that are set, by name: in the order of the public contract, then the engine's own."""
        common = {name: value for name in KNOBS if (value := getattr(self, name)) is not None}
        return {**common, **dict(self.options)}

    @classmethod
    def from_dict(cls, values: Mapping[str, KnobValue]) -> Self:
        """The configuration of a mapping made by `to_dict`; what is no common knob is the engine's own."""
        common = {name: value for name, value in values.items() if name in KNOBS}
        own = tuple(sorted((name, value) for name, value in values.items() if name not in KNOBS))
        return cls(**common, options=own)  # type: ignore[arg-type]


KNOBS: Final = tuple(field.name for field in fields(Configuration) if field.name != "options")
"""Knobs that every engine may have, in the order of the public contract."""


def knobs_of(configurations: Iterable[Configuration]) -> tuple[str, ...]:
    """The common knobs, then the engines' own ones that any of the configurations has, by name."""
    return (*KNOBS, *sorted({name for configuration in configurations for name, _ in configuration.options}))
