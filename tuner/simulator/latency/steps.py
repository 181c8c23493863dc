"""How long does one engine step take: kernel times of one configuration, interpolated on a small grid.

A step of in-flight batching prefills some prompts and decodes one token for every running request. The
kernel data is asked once per grid point (10-50 us each); between points the step times are linear.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class StepEngine(Protocol):
    """The part of ``aiconfigurator_core.sdk.engine.EngineHandle`` that step times are read from (all in ms)."""

    def predict_prefill_latency(self, *, bs: int, isl: int, prefix: int = 0) -> float:
        """Prefill ``bs`` prompts whose last ``isl - prefix`` tokens are not cached."""
        ...

    def mixed_step_breakdown(
        self, ctx_tokens: int, gen_tokens: int, isl: int, osl: int
    ) -> tuple[float, float, float, float]:
        """Total, work shared by all tokens, context attention and decode attention of one mixed step."""
        ...

    def decode_step_latency(self, gen_tokens: int, isl: int, osl: int) -> float:
        """One generation-only step at a sequence length of ``isl + osl // 2 + 1``."""
        ...


def _linear(points: Sequence[float], values: Sequence[float], x: float) -> float:
    """Value at ``x`` on the broken line through (points, values); the outer pieces are prolonged."""
    last = len(points) - 1
    if last == 0:
        return values[0]
    i = min(max(bisect_right(points, x) - 1, 0), last - 1)
    left, right = points[i], points[i + 1]
    return values[i] + (values[i + 1] - values[i]) * (x - left) / (right - left)


@dataclass(frozen=True)
class StepTimes:
    """Step times in ms of one engine configuration, per attention rank.

    ``prefill_ms[i]``: a step that prefills ``prefill_tokens[i]`` tokens of prompts ``prompt_tokens`` long.
    ``prefix_ms``: what one token more of already cached prefix adds for every prefilled token (chunks).
    ``decode_ms[i][j]``: a generation-only step of ``batches[i]`` requests at sequence length ``lengths[j]``.
    ``joint_ms[i][j]``: what the same requests add to a step that prefills.
    """

    prompt_tokens: int
    prefill_tokens: tuple[int, ...]
    prefill_ms: tuple[float, ...]
    prefix_ms: float
    batches: tuple[int, ...]
    lengths: tuple[int, ...]
    decode_ms: tuple[tuple[float, ...], ...]
    joint_ms: tuple[tuple[float, ...], ...]
    _decode_rows: dict[int, tuple[float, ...]] = field(default_factory=dict, repr=False, compare=False)
    _joint_rows: dict[int, tuple[float, ...]] = field(default_factory=dict, repr=False, compare=False)

    def decode(self, requests: int, mean_length: float) -> float:
        """Duration in ms of a generation-only step of ``requests`` requests (0 for none)."""
        if requests <= 0:
            return 0.0
        row = self._decode_rows.get(requests)
        if row is None:
            row = self._decode_rows[requests] = self._row(self.decode_ms, requests)
        return _linear(self.lengths, row, mean_length)

    def mixed(self, context_tokens: int, requests: int, mean_length: float, prefix_work: float = 0.0) -> float:
        """Duration in ms of a step that prefills ``context_tokens`` tokens and decodes ``requests`` requests.

        ``prefix_work``: sum over the prefilled chunks of tokens times tokens already cached before them.
        """
        if context_tokens <= 0:
            return self.decode(requests, mean_length)
        time_ms = _linear(self.prefill_tokens, self.prefill_ms, context_tokens) + self.prefix_ms * prefix_work
        if requests <= 0:
            return time_ms
        row = self._joint_rows.get(requests)
        if row is None:
            row = self._joint_rows[requests] = self._row(self.joint_ms, requests)
        return time_ms + max(_linear(self.lengths, row, mean_length), 0.0)

    def _row(self, table: tuple[tuple[float, ...], ...], requests: int) -> tuple[float, ...]:
        return tuple(_linear(self.batches, [line[j] for line in table], requests) for j in range(len(self.lengths)))

    def scaled(self, prefill: float, decode: float) -> StepTimes:
        """The same engine with prefill and decode times multiplied (a learned correction)."""
        return StepTimes(
            self.prompt_tokens,
            self.prefill_tokens,
            tuple(value * prefill for value in self.prefill_ms),
            self.prefix_ms * prefill,
            self.batches,
            self.lengths,
            tuple(tuple(value * decode for value in row) for row in self.decode_ms),
            tuple(tuple(value * decode for value in row) for row in self.joint_ms),
        )


def _prefill_grid(prompt_tokens: int, max_context_tokens: int) -> list[tuple[int, int]]:
    """(prompts, tokens each) for the prefill grid: pieces of one prompt, then whole prompts up to the budget."""
    pieces = [(1, max(1, prompt_tokens * part // 8)) for part in (1, 2, 4, 6, 8)]
    counts = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256]
    most = max(2, -(-max_context_tokens // prompt_tokens))
    return pieces + [(count, prompt_tokens) for count in counts if count < most] + [(most, prompt_tokens)]


def _geometric(first: int, last: int) -> list[int]:
    """Whole numbers from ``first`` to at least ``last``, each about 1.4 times the one before."""
    grid = [first]
    while grid[-1] < last:
        grid.append(max(grid[-1] + 1, min(last, round(grid[-1] * 1.41))))
    return grid


SWITCH_TOKENS = (128, 256)
"""Between these token counts the nvfp4 MoE data change from one kernel to another, up to twice as slow."""
SWITCH_SHARE = 0.15
"""A rise beyond the curve's own course by more than this share of the step is such a change, not the engine's."""


def _kernel_switch_ms(engine: StepEngine, ranks: int, length: int) -> float:
    """How much generation steps rise in ms where the MoE data change kernel; 0 where they do not.

    Measured engines show no such rise (TensorRT-LLM, DeepSeek-R1 nvfp4 on B200: 24.8 to 27.5 ms from 128 to 256
    requests, where the kernel data double), as they choose the better kernel at every size.
    """
    before, edge, after = (max(1, tokens // ranks) for tokens in (SWITCH_TOKENS[0] // 2, *SWITCH_TOKENS))
    if not before < edge < after:
        return 0.0
    low, mid, high = (engine.decode_step_latency(batch, length, 2) for batch in (before, edge, after))
    course = (mid - low) / (edge - before) * (after - edge)
    rise = high - mid - max(course, 0.0)
    return rise if rise > SWITCH_SHARE * mid else 0.0


def fill_step_times(
    engine: StepEngine,
    *,
    prompt_tokens: int,
    max_context_tokens: int,
    max_requests: int,
    max_length: int,
    ranks: int = 1,
) -> StepTimes:
    """Ask the kernel data for the grid: about 25 prefill and 5 x log2(max_requests) decode points (1-5 ms).

    ``prompt_tokens``: the mean prompt; ``max_context_tokens``: the most tokens that one step prefills;
    ``max_requests``: the most that one rank decodes; ``ranks``: of attention data parallelism.
    Errors: whatever the kernel data raises where it has no data (``PerfDataNotAvailableError``).
    """
    lengths = _geometric_lengths(max_length)
    switch_ms = _kernel_switch_ms(engine, ranks, max(1, lengths[2]))
    tokens, prefill_ms, prefix_ms = _prefill_column(engine, prompt_tokens, max_context_tokens, switch_ms)
    batches = _geometric(1, max(2, max_requests))
    if switch_ms:
        batches = sorted({*batches, SWITCH_TOKENS[0] // ranks, SWITCH_TOKENS[0] // ranks + 1})
    context = min(max_context_tokens, prompt_tokens)
    alone = engine.mixed_step_breakdown(context, 0, prompt_tokens, 2)
    decode_rows: list[tuple[float, ...]] = []
    joint_rows: list[tuple[float, ...]] = []
    for batch in batches:
        lower = switch_ms if batch * ranks > SWITCH_TOKENS[0] else 0.0
        # isl + 2 // 2 + 1 is the length that the kernel data is read at
        decode_rows.append(
            tuple(engine.decode_step_latency(batch, max(1, length - 2), 2) - lower for length in lengths)
        )
        joint = [engine.mixed_step_breakdown(context, batch, max(1, length - 2), 2) for length in lengths]
        shared = max(0.0, joint[0][1] - alone[1])
        joint_rows.append(tuple(shared + parts[3] for parts in joint))
    return StepTimes(
        prompt_tokens=prompt_tokens,
        prefill_tokens=tokens,
        prefill_ms=prefill_ms,
        prefix_ms=prefix_ms,
        batches=tuple(batches),
        lengths=tuple(lengths),
        decode_ms=tuple(decode_rows),
        joint_ms=tuple(joint_rows),
    )


def _prefill_column(
    engine: StepEngine, prompt_tokens: int, max_context_tokens: int, switch_ms: float
) -> tuple[tuple[int, ...], tuple[float, ...], float]:
    """Tokens, step times in ms, and what each prefilled token pays for each cached one before it."""
    prefill: dict[int, float] = {}
    for prompts, tokens in _prefill_grid(prompt_tokens, max_context_tokens):
        time_ms = engine.predict_prefill_latency(bs=prompts, isl=tokens)
        switched = prompts * tokens > SWITCH_TOKENS[0]
        prefill[prompts * tokens] = time_ms - (min(switch_ms, 0.3 * time_ms) if switched else 0.0)
    half = max(1, prompt_tokens // 2)
    cached_ms = engine.predict_prefill_latency(bs=1, isl=2 * half, prefix=half)
    prefix_ms = max(0.0, cached_ms - engine.predict_prefill_latency(bs=1, isl=half)) / (half * half)
    tokens_sorted = tuple(sorted(prefill))
    return tokens_sorted, tuple(prefill[tokens] for tokens in tokens_sorted), prefix_ms


def _geometric_lengths(max_length: int) -> list[int]:
    """Five sequence lengths, the last one at least ``max_length``; attention time is almost linear between."""
    last = max(64, max_length)
    return sorted({max(3, last // 16), max(4, last // 4), max(5, last // 2), max(6, 3 * last // 4), last})
