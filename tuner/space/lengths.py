"""Prompt and output lengths of a workload: their means and the longest request, in tokens."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tuner.errors import SpecError
from tuner.spec_workload import NormalLength, TraceLength, Workload

NORMAL_REACH_SIGMAS = 3.0
"""The longest length provided for lies this many standard deviations above the mean."""


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """One request of a trace; arrival in seconds since its start (`None` when the trace has no times)."""

    arrival_seconds: float | None
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean and largest token counts of a workload; the spread is 0 for fixed lengths."""

    input_mean: float
    input_max: int
    output_mean: float
    output_max: int

    @property
    def sequence_max(self) -> int:
        """Tokens of the longest request, prompt and output together."""
        return self.input_max + self.output_max


def lengths_of(workload: Workload) -> Lengths:
    """The lengths of a workload; raises `SpecError` when a trace cannot be read."""
    input_mean, input_max = _side(workload, "input_tokens")
    output_mean, output_max = _side(workload, "output_tokens")
    return Lengths(input_mean, input_max, output_mean, output_max)


def trace_of(workload: Workload) -> tuple[TraceRequest, ...]:
    """The requests of the trace whose arrivals the workload replays (the prompts' before the outputs'); else empty."""
    for side in ("input_tokens", "output_tokens"):
        length = getattr(workload, side)
        if isinstance(length, TraceLength):
            return read_trace(length.trace, f"workload.{side}.trace")
    return ()


def offered_rate(workload: Workload) -> float | None:
    """Requests per second that arrive at the whole deployment; `None` in a closed loop.

    A trace replays its own arrivals. Raises `SpecError` when it has no times to replay.
    """
    if workload.request_rate is not None or not workload.is_open:
        return workload.request_rate
    arrivals = [request.arrival_seconds for request in trace_of(workload)]
    if arrivals[0] is None or arrivals[-1] is None or arrivals[-1] <= arrivals[0]:
        raise SpecError.of("workload", "the trace has no arrival times to replay; give concurrency or request_rate")
    return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])


def _side(workload: Workload, side: str) -> tuple[float, int]:
    length = getattr(workload, side)
    if isinstance(length, TraceLength):
        counts = [getattr(request, side) for request in read_trace(length.trace, f"workload.{side}.trace")]
        return sum(counts) / len(counts), max(counts)
    if isinstance(length, NormalLength):
        return float(length.mean), round(length.mean + NORMAL_REACH_SIGMAS * length.stdev)
    return float(length), int(length)


@cache
def read_trace(path: str, field: str) -> tuple[TraceRequest, ...]:
    """The requests of a JSON Lines trace, in order of arrival.

    Each line has `input_tokens`, `output_tokens` and, where arrivals are to be replayed, `arrival_seconds`; the
    Mooncake names `input_length`, `output_length` and `timestamp` (milliseconds) are understood too. Raises
    `SpecError` naming the broken line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError.of(field, f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    requests = [_request(line, f"{path}, line {row}", field) for row, line in enumerate(lines, 1) if line.strip()]
    if not requests:
        raise SpecError.of(field, f"{path} holds no request; give one JSON object a line")
    timed = [request.arrival_seconds is not None for request in requests]
    if any(timed) and not all(timed):
        raise SpecError.of(
            field,
            f"{path}, line {timed.index(False) + 1}: arrival_seconds is missing; give it on every line or on none",
        )
    return tuple(sorted(requests, key=lambda request: request.arrival_seconds or 0.0))


def _request(line: str, where: str, field: str) -> TraceRequest:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise SpecError.of(field, f"{where}: no JSON ({error}); give one JSON object a line") from None
    if not isinstance(row, dict):
        raise SpecError.of(field, f"{where}: no JSON object; give input_tokens and output_tokens")
    arrival = row.get("arrival_seconds")
    if arrival is None and "timestamp" in row:
        arrival = row["timestamp"] / 1000 if isinstance(row["timestamp"], int | float) else row["timestamp"]
    if arrival is not None and (
        not isinstance(arrival, int | float) or isinstance(arrival, bool) or not 0 <= arrival < 1e12
    ):
        raise SpecError.of(field, f"{where}: arrival_seconds is {arrival!r}; give seconds since the start, 0 or more")
    return TraceRequest(
        arrival_seconds=None if arrival is None else float(arrival),
        input_tokens=_count(row, "input_tokens", "input_length", where, field),
        output_tokens=_count(row, "output_tokens", "output_length", where, field),
    )


def _count(row: dict[str, object], key: str, other: str, where: str, field: str) -> int:
    value = row.get(key, row.get(other))
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 10_000_000:
        raise SpecError.of(field, f"{where}: {key} is {value!r}; give a whole number of tokens, 1 or more")
    return value
