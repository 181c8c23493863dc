"""Prompts of exactly the asked number of tokens, rendered as JSON without work that grows with their length.

All prompts are cut from one long random stream of tokens, each from a start of its own, so that no two begin alike and
a prefix cache cannot help. What they are asked to share comes from a second stream, always from its start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Final

import numpy as np

STREAM_TOKENS: Final = 1 << 16
STRIDE: Final = 40_503
"""Odd, so that 65,536 prompts have as many different starts; near the golden section, so that neighbours are far apart."""


class PromptKind(StrEnum):
    """How a prompt is written: as token ids, as text, or as a chat message of text."""

    TOKENS = "tokens"
    TEXT = "text"
    CHAT = "chat"


@dataclass(frozen=True, slots=True)
class _Shape:
    key: bytes
    opening: bytes
    closing: bytes
    separator: bytes


_SHAPES: Final = {
    PromptKind.TOKENS: _Shape(b"prompt", b"[", b"]", b","),
    PromptKind.TEXT: _Shape(b"prompt", b'"', b'"', b" "),
    PromptKind.CHAT: _Shape(b"messages", b'[{"role":"user","content":"', b'"}]', b" "),
}


class Prompts:
    """Renders prompts of one kind from pieces that are one token each: numbers, or words that need no escaping.

    `overhead`: tokens that the engine adds by itself (a begin mark, a chat template), which a prompt is shorter by.
    `salt` draws the streams, and differs from run to run.
    """

    def __init__(
        self, kind: PromptKind, pieces: Sequence[str], salt: int, *, overhead: int = 0, shared_prefix: float = 0.0
    ) -> None:
        if not pieces:
            raise ValueError("prompts are made of pieces; give one at least")
        self.kind = kind
        self.overhead = overhead
        self._shape = _SHAPES[kind]
        self._pieces = tuple(pieces)
        self._salt = salt
        self._shared_prefix = shared_prefix
        generator = np.random.default_rng(salt)
        self._own = _Stream(self._drawn(generator))
        self._common = _Stream(self._drawn(generator)) if shared_prefix else self._own
        self._first = int(generator.integers(STREAM_TOKENS))

    @property
    def least_tokens(self) -> int:
        """Tokens of the shortest prompt."""
        return self.overhead + 1

    def with_overhead(self, overhead: int) -> "Prompts":
        """Prompts that allow for as many tokens of the engine's own."""
        return Prompts(self.kind, self._pieces, self._salt + 1, overhead=overhead, shared_prefix=self._shared_prefix)

    def render(self, number: int, tokens: int) -> bytes:
        """The JSON member (key and value) of the prompt of a request, of at least `least_tokens` tokens."""
        own = max(1, tokens - self.overhead)
        shared = round(own * self._shared_prefix)
        start = (self._first + number * STRIDE) % STREAM_TOKENS
        text = self._common.cut(0, shared) + self._own.cut(start, own - shared)
        shape = self._shape
        return b'"%b":%b%b%b' % (shape.key, shape.opening, text[: -len(shape.separator)], shape.closing)

    def _drawn(self, generator: np.random.Generator) -> list[bytes]:
        rendered = [piece.encode() + self._shape.separator for piece in self._pieces]
        return [rendered[index] for index in generator.integers(len(rendered), size=STREAM_TOKENS)]


class _Stream:
    """Rendered tokens that any stretch can be cut from; the end is followed by the start."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._text = b"".join(pieces)
        self._places = [0, *accumulate(map(len, pieces))]

    def cut(self, start: int, tokens: int) -> bytes:
        """As many tokens from a start on."""
        parts: list[bytes] = []
        while tokens > 0:
            end = min(start + tokens, STREAM_TOKENS)
            parts.append(self._text[self._places[start] : self._places[end]])
            tokens -= end - start
            start = 0
        return b"".join(parts)
