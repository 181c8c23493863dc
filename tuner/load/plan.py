"""How a load is run: how long, how exactly, and what is too much."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tuner.load.arrivals import Arrivals, Closed
from tuner.load.client import Limits

GOODPUT_LIMITS: Final = ("ttft_ms", "tpot_ms", "request_latency_ms")
OUTPUT_RATE: Final = "output_tokens_per_second"
"""Key of the whole engine's token rate, which can be wanted where the number of GPUs is not known."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The rules of one measurement.

    `seconds`: most seconds of load, warm-up included. `precision`: half width of the 95 % confidence interval over the
    figure, that every metric in `wanted` must reach for the load to end sooner. `window_seconds`: the shortest window.
    `warm_up_seconds`: the shortest warm-up. `failed_share`: more failed requests than this make the load broken.
    `goodput_limits`: in ms, by `ttft_ms`, `tpot_ms`, `request_latency_ms`; goodput is absent without. `gpus`: how many
    the engine uses; metrics per GPU are absent without. `salt` draws the prompts' tokens; by default another each run.
    """

    seconds: float = 60.0
    precision: float = 0.03
    wanted: tuple[str, ...] = ("ttft_mean_ms", "tpot_mean_ms", OUTPUT_RATE)
    window_seconds: float = 5.0
    warm_up_seconds: float = 1.0
    limits: Limits = field(default_factory=Limits)
    failed_share: float = 0.01
    most_in_flight: int = 4096
    goodput_limits: Mapping[str, float] = field(default_factory=dict)
    gpus: int | None = None
    tokenizer: Path | None = None
    salt: int | None = None

    def for_arrivals(self, arrivals: Arrivals) -> "Plan":
        """The plan for such arrivals: at a rate that was asked, rates say nothing of the engine and need not be exact."""
        if isinstance(arrivals, Closed):
            return self
        return replace(self, wanted=tuple(key for key in self.wanted if key.endswith("_ms")))

    def __post_init__(self) -> None:
        unknown = [name for name in self.goodput_limits if name not in GOODPUT_LIMITS]
        if unknown:
            raise ValueError(f"unknown goodput limit {unknown[0]!r}; known: {', '.join(GOODPUT_LIMITS)}")
