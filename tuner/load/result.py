"""What a measurement found, and how it was come by."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from tuner.load.lateness import Lateness
from tuner.load.records import ErrorKind
from tuner.load.statistics import Interval
from tuner.load.windows import Window


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of the whole load (`whole`, `failed`, `cut` at its end), and what lies in the window."""

    whole: int
    failed: int
    cut: int
    in_window: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int | None


@dataclass(frozen=True, slots=True)
class Spoken:
    """How the engine was spoken to: kind of prompt, fields it refused, whether it counts each chunk's tokens."""

    prompt: str
    added_tokens: int
    dropped_fields: tuple[str, ...]
    exact_output: bool
    counts_chunks: bool


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Metrics by the keys of the public contract, and the intervals of those that have one.

    `output_tokens_per_second` is the whole engine's. `windows` adjoin each other; `started_at` is the wall clock of the
    first request (seconds since 1970). `is_exact`: every wanted metric is as exact as asked. `was_warm`: the warm-up
    ended by itself, not with half of the time. `drift`: the token rate of the window's second half over that of its
    first, less one.
    """

    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    output_tokens_per_second: float
    windows: tuple[Window, ...]
    counts: Counts
    errors: Mapping[ErrorKind, int]
    lateness: Lateness
    spoken: Spoken
    is_exact: bool
    was_warm: bool
    drift: float
    started_at: float
    warm_up_seconds: float
    load_seconds: float
    overhead_seconds: float

    @property
    def window_seconds(self) -> float:
        """Length of the steady window."""
        return self.windows[-1].end.moment - self.windows[0].start.moment

    def details(self) -> dict[str, object]:
        """How the figures were come by, as plain data."""
        return {
            "started_at": self.started_at,
            "window_seconds": self.window_seconds,
            "windows": len(self.windows),
            "warm_up_seconds": self.warm_up_seconds,
            "load_seconds": self.load_seconds,
            "overhead_seconds": self.overhead_seconds,
            "is_exact": self.is_exact,
            "was_warm": self.was_warm,
            "drift": self.drift,
            "output_tokens_per_second": self.output_tokens_per_second,
            "requests": asdict(self.counts),
            "errors": {kind.value: count for kind, count in self.errors.items()},
            "client_lateness": asdict(self.lateness),
            "spoken": {**asdict(self.spoken), "dropped_fields": list(self.spoken.dropped_fields)},
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a load is: its phase (`probing`, `warming up`, `measuring`), seconds of it, and requests by their end.

    `half_width`: the widest relative half width of a wanted metric at the last look, where there was one.
    """

    phase: str
    seconds: float
    most_seconds: float
    whole: int
    failed: int
    in_flight: int
    half_width: float | None


Progress = Callable[[Standing], None]
