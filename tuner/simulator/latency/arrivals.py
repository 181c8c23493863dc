"""Who asks for what, and when: closed loops, Poisson arrivals and traces as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lengths:
    """Token counts of prompts or outputs, at least one token each.

    ``spread``: for ``uniform`` the lowest share of ``nominal`` (0.8: drawn from 80 to 100 % of it), for ``normal`` the
    standard deviation in tokens; unused for ``fixed``.
    """

    nominal: float
    kind: Literal["fixed", "uniform", "normal"] = "fixed"
    spread: float = 0.0

    def draw(self, count: int, generator: np.random.Generator) -> IntArray:
        """``count`` token counts."""
        if self.kind == "uniform":
            low = max(1, int(self.nominal * self.spread))
            return generator.integers(low, max(low, int(self.nominal)) + 1, count).astype(np.int64)
        if self.kind == "normal":
            drawn = generator.normal(self.nominal, self.spread, count)
            return np.maximum(1, np.rint(drawn)).astype(np.int64)
        return np.full(count, max(1, round(self.nominal)), dtype=np.int64)

    @property
    def mean(self) -> float:
        """Mean token count."""
        return self.nominal * (1.0 + self.spread) / 2.0 if self.kind == "uniform" else self.nominal

    @property
    def longest(self) -> int:
        """A token count that (nearly) no draw exceeds."""
        return int(self.nominal + (3.0 * self.spread if self.kind == "normal" else 0.0)) + 1


@dataclass(frozen=True)
class Traffic:
    """Requests in the order they are sent.

    ``sent_ms`` holds the times of an open load. With ``concurrency`` set the loop is closed: the first ``concurrency``
    requests start at ``sent_ms``, every later one when an earlier one has ended.
    """

    input_tokens: IntArray
    output_tokens: IntArray
    sent_ms: FloatArray
    concurrency: int | None = None

    def __len__(self) -> int:
        return len(self.input_tokens)


def closed_loop(
    concurrency: int, requests: int, inputs: Lengths, outputs: Lengths, seed: int, stagger_ms: float = 0.0
) -> Traffic:
    """``concurrency`` users that each wait for their answer; all start at once, or evenly over ``stagger_ms``."""
    generator = np.random.default_rng(seed)
    first = min(concurrency, requests)
    sent = np.linspace(0.0, stagger_ms, first, endpoint=False) if stagger_ms > 0 else np.zeros(first)
    return Traffic(inputs.draw(requests, generator), outputs.draw(requests, generator), sent, concurrency)


def poisson(rate_per_second: float, requests: int, inputs: Lengths, outputs: Lengths, seed: int) -> Traffic:
    """Requests that arrive independently of each other at a mean rate; ValueError when the rate is not positive."""
    if not rate_per_second > 0:
        raise ValueError(f"request_rate must be positive, not {rate_per_second}")
    generator = np.random.default_rng(seed)
    sent = np.cumsum(generator.exponential(1000.0 / rate_per_second, requests))
    return Traffic(inputs.draw(requests, generator), outputs.draw(requests, generator), sent)


def trace(rows: Sequence[tuple[float, int, int]]) -> Traffic:
    """Replay (arrival in seconds, input tokens, output tokens) rows; ValueError names the first row that is wrong."""
    if not rows:
        raise ValueError("the trace has no rows")
    earlier = -np.inf
    for number, (arrival_s, input_tokens, output_tokens) in enumerate(rows, start=1):
        if not np.isfinite(arrival_s) or arrival_s < earlier:
            raise ValueError(f"trace row {number}: arrival_s {arrival_s} must be finite and not before the row above")
        if input_tokens < 1 or output_tokens < 1:
            raise ValueError(f"trace row {number}: token counts must be at least 1: {input_tokens}, {output_tokens}")
        earlier = arrival_s
    columns = np.asarray(rows, dtype=np.float64)
    return Traffic(columns[:, 1].astype(np.int64), columns[:, 2].astype(np.int64), columns[:, 0] * 1000.0)
