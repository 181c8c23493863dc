"""What is kept of each request, and the compressed file of JSON Lines that holds it; never a prompt's text."""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np


class ErrorKind(StrEnum):
    """How a request failed."""

    REFUSED_CONNECTION = "refused_connection"
    RESET = "reset"
    HTTP_STATUS = "http_status"
    STREAM_ERROR = "stream_error"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    STALLED = "stalled"
    TIMED_OUT = "timed_out"
    NO_USAGE = "no_usage"
    WRONG_INPUT_COUNT = "wrong_input_count"
    WRONG_OUTPUT_COUNT = "wrong_output_count"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request; times in seconds of the monotonic clock, counts in tokens, `None` where something never came.

    `scheduled`: when it was to be sent; `begun`: when the client turned to it; `sent`: when it had a connection and
    wrote. `chunk_seconds`: when each chunk with tokens came; `chunk_tokens`: how many tokens each held, where the
    engine says so. `cut`: it was still under way when the load ended. `cached_tokens`: of the prompt, from a prefix
    that the engine had kept.
    """

    number: int
    scheduled: float
    begun: float
    sent: float | None
    ended: float
    input_tokens: int
    asked_tokens: int
    chunk_seconds: tuple[float, ...] = ()
    chunk_tokens: tuple[int, ...] | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    cut: bool = False
    http_status: int | None = None
    error: ErrorKind | None = None
    detail: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it was answered in full and without an error."""
        return self.error is None and not self.cut


def write_records(path: Path, records: Iterable[RequestRecord], origin: float) -> None:
    """Writes records as gzip JSON Lines, whole or not at all; times are counted from `origin` and rounded to a µs."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        with gzip.open(temporary, "wt", encoding="utf-8", compresslevel=1) as file:
            for record in records:
                file.write(json.dumps(_plain(record, origin), ensure_ascii=False, separators=(",", ":")) + "\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_records(path: Path) -> Iterator[RequestRecord]:
    """The records of a file made by `write_records`, with times counted from its origin."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield _record(json.loads(line))


def _plain(record: RequestRecord, origin: float) -> dict[str, object]:
    return {
        "number": record.number,
        "scheduled": _since(record.scheduled, origin),
        "begun": _since(record.begun, origin),
        "sent": None if record.sent is None else _since(record.sent, origin),
        "ended": _since(record.ended, origin),
        "input_tokens": record.input_tokens,
        "asked_tokens": record.asked_tokens,
        "chunk_seconds": np.round(np.asarray(record.chunk_seconds) - origin, 6).tolist(),
        "chunk_tokens": record.chunk_tokens,
        "prompt_tokens": record.prompt_tokens,
        "cached_tokens": record.cached_tokens,
        "output_tokens": record.output_tokens,
        "cut": record.cut,
        "http_status": record.http_status,
        "error": record.error,
        "detail": record.detail,
    }


def _record(row: dict[str, object]) -> RequestRecord:
    seconds, tokens, error = row["chunk_seconds"], row["chunk_tokens"], row["error"]
    assert isinstance(seconds, list)
    shaped = {
        "chunk_seconds": tuple(seconds),
        "chunk_tokens": tuple(tokens) if isinstance(tokens, list) else None,
        "error": None if error is None else ErrorKind(str(error)),
    }
    return RequestRecord(**{**row, **shaped})  # type: ignore[arg-type]


def _since(moment: float, origin: float) -> float:
    return round(moment - origin, 6)
