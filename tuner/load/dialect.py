"""How one endpoint is spoken to: which fields its engine takes, and the body of a request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from tuner.load.records import ErrorKind, RequestRecord

OPTIONAL_FIELDS: Final[Mapping[str, object]] = {
    "ignore_eos": True,
    "min_tokens": None,
    "stream_options": {"include_usage": True},
}
"""Fields beyond the least, tried in this order; `min_tokens` takes each request's own length."""
COUNTING_FIELDS: Final[Mapping[str, object]] = {
    "timings_per_token": True,
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},
}
"""How llama.cpp and vLLM are asked to say how many tokens a chunk holds; asked only where a chunk is not a token, since
it costs the engine and the client some microseconds a token."""
EXACTING_FIELDS: Final = ("ignore_eos", "min_tokens")
"""With one of these an answer has exactly the asked length."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Model name and the optional fields that the engine takes, with their values."""

    model: str
    fields: Mapping[str, object]

    @property
    def is_exact(self) -> bool:
        """Whether answers must have exactly the asked length."""
        return any(name in self.fields for name in EXACTING_FIELDS)

    def without(self, *names: str) -> "Dialect":
        """The dialect without some fields."""
        return replace(self, fields={name: value for name, value in self.fields.items() if name not in names})

    def having(self, fields: Mapping[str, object]) -> "Dialect":
        """The dialect with more fields, or other values of them."""
        return replace(self, fields={**self.fields, **fields})

    def body(self, prompt: bytes, output_tokens: int) -> bytes:
        """The JSON body of a request; `prompt` is a rendered member."""
        fields = {"model": self.model, "stream": True, "max_tokens": output_tokens, **self.fields}
        if "min_tokens" in fields:
            fields["min_tokens"] = output_tokens
        return json.dumps(fields).encode()[:-1] + b", " + prompt + b"}"


def judged(record: RequestRecord, dialect: Dialect) -> RequestRecord:
    """The record with an error where the engine's own counts are missing or not what was asked."""
    if not record.is_whole:
        return record
    verdict = _verdict(record, dialect)
    return record if verdict is None else replace(record, error=verdict[0], detail=verdict[1])


def _verdict(record: RequestRecord, dialect: Dialect) -> tuple[ErrorKind, str] | None:
    if not record.chunk_seconds:
        return ErrorKind.MALFORMED, "answered without a stream of tokens"
    if record.prompt_tokens is None or record.output_tokens is None:
        return ErrorKind.NO_USAGE, "the stream's last words do not count its tokens (`usage`)"
    if record.prompt_tokens != record.input_tokens:
        return (
            ErrorKind.WRONG_INPUT_COUNT,
            f"the engine counts {record.prompt_tokens} tokens in a prompt of {record.input_tokens}",
        )
    found, asked = record.output_tokens, record.asked_tokens
    if found > asked or (dialect.is_exact and found < asked):
        return ErrorKind.WRONG_OUTPUT_COUNT, f"the engine counts {found} tokens where {asked} were asked"
    if record.chunk_tokens is None and len(record.chunk_seconds) > found:
        return ErrorKind.WRONG_OUTPUT_COUNT, f"{len(record.chunk_seconds)} pieces of text came for {found} tokens"
    return None
