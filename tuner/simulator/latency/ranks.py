"""Attention ranks: what each decodes, holds and promises in its KV cache, and whether another request fits."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tuner.simulator.latency.limits import EngineLimits


@dataclass(slots=True)
class Rank:
    """One attention rank, counted in requests and tokens.

    ``cached``: tokens in its KV cache; ``pending``: admitted prompt tokens still to be prefilled; ``reserved``: promised
    to its requests until their ends; ``order``: decoding requests, youngest last (kept only where the engine evicts).
    """

    decoding: int = 0
    cached: int = 0
    pending: int = 0
    reserved: int = 0
    prefilling: int = 0
    order: list[int] = field(default_factory=list)
    waiting: deque[int] = field(default_factory=deque)

    @property
    def load(self) -> int:
        """Requests on this rank, waiting ones included."""
        return self.decoding + self.prefilling + len(self.waiting)

    def fits(self, limits: EngineLimits, prompt: int, whole: int) -> bool:
        """Whether one more request fits: ``prompt`` tokens to prefill now, ``whole`` tokens at its end."""
        if self.decoding + self.prefilling >= limits.max_batch_size:
            return False
        if limits.kv_tokens is None:
            return True
        if limits.policy == "GUARANTEED_NO_EVICT":
            return self.reserved + whole <= limits.kv_tokens
        return self.needed(1) + prompt + 1 <= limits.kv_tokens

    def needed(self, tokens_per_step: int) -> int:
        """KV tokens once every admitted prompt is prefilled and every request has made one more step."""
        return self.cached + self.pending + (self.decoding + self.prefilling) * tokens_per_step


def busiest(ranks: Sequence[Rank]) -> tuple[int, float]:
    """Decoding requests of the busiest rank, and their mean length in tokens."""
    rank = ranks[0]
    for other in ranks:
        if other.decoding > rank.decoding:
            rank = other
    return rank.decoding, (rank.cached / rank.decoding if rank.decoding else 0.0)


def steps_until_full(ranks: Sequence[Rank], capacity: int, tokens_per_step: int) -> int:
    """Decode steps until some rank's KV cache is full, at least one."""
    left = [
        (capacity - rank.cached - rank.pending - rank.prefilling) // (rank.decoding * tokens_per_step)
        for rank in ranks
        if rank.decoding
    ]
    return max(1, min(left, default=1))
