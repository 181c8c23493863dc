"""Records of requests, and a loop to run coroutines in."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import pytest

from tuner.load.records import RequestRecord

T = TypeVar("T")


class MakeRecord(Protocol):
    """Makes a record."""

    def __call__(self, scheduled: float = 0.0, chunks: Sequence[float] = (), **changes: Any) -> RequestRecord:
        """A whole request of ten prompt tokens, with a token in each chunk unless told otherwise."""


def _record(scheduled: float = 0.0, chunks: Sequence[float] = (), **changes: Any) -> RequestRecord:
    tokens = len(chunks)
    facts: dict[str, Any] = {
        "number": 0,
        "begun": scheduled,
        "sent": scheduled,
        "ended": chunks[-1] if chunks else scheduled,
        "input_tokens": 10,
        "asked_tokens": tokens,
        "prompt_tokens": 10,
        "output_tokens": tokens,
        "http_status": 200,
    }
    return RequestRecord(scheduled=scheduled, chunk_seconds=tuple(chunks), **{**facts, **changes})


@pytest.fixture
def record() -> MakeRecord:
    """Makes records of requests."""
    return _record


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine to its end."""
    return asyncio.run
