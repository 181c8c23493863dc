"""What an engine streams: server-sent events cut out of bytes, and what one event says."""

import json
from dataclasses import dataclass
from typing import Final

DONE: Final = b"[DONE]"
_DATA: Final = b"data:"
_TEXTS: Final = ("content", "reasoning_content", "reasoning", "tool_calls")
MOST_DETAIL: Final = 300
_decode: Final = json.JSONDecoder().raw_decode


class MalformedEventError(ValueError):
    """A line of the stream is no event of the OpenAI API."""


class Lines:
    """Cuts a stream of bytes into the payloads of its `data:` lines, wherever the bytes were split."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that these bytes complete; comments and other fields are passed over."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line[len(_DATA) :].strip() for line in lines if line.startswith(_DATA)]


@dataclass(frozen=True, slots=True)
class Event:
    """One event: whether it speaks of the answer at all and has text, tokens so far where the engine counts, last words.

    `final_output` and `final_prompt` are the token counts of `usage`; `cached` the prompt's tokens found in a prefix
    cache; `error` the message of an engine that failed in mid-stream.
    """

    has_text: bool = False
    has_choice: bool = False
    tokens_so_far: int | None = None
    finished: bool = False
    final_prompt: int | None = None
    final_output: int | None = None
    cached: int | None = None
    error: str | None = None


PLAIN_TOKEN: Final = Event(has_text=True, has_choice=True)
"""The event that nearly all are; it is not made anew for each, which would take half of the time of reading it."""


def read_event(payload: bytes) -> Event:
    """What one payload says; raises `MalformedEventError` when it is no JSON object."""
    try:
        text = payload.decode()
        document, end = _decode(text)
        if end < len(text):
            raise MalformedEventError(f"more than one object in an event: {_short(text)}")
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise MalformedEventError(f"no JSON in the stream: {_short(payload.decode('utf-8', 'replace'))}") from None
    if not isinstance(document, dict):
        raise MalformedEventError(f"no object in the stream: {_short(str(document))}")
    if _is_plain_token(document):
        return PLAIN_TOKEN
    if document.get("error"):
        return Event(error=error_message(document))
    choices, usage = document.get("choices"), document.get("usage")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    output = _count(usage, "completion_tokens")
    timings = _count(document.get("timings"), "predicted_n")
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    return Event(
        has_text=_has_text(choice),
        has_choice=bool(choice),
        tokens_so_far=timings if output is None else output,
        finished=choice.get("finish_reason") is not None,
        final_prompt=_count(usage, "prompt_tokens"),
        final_output=output,
        cached=_count(details, "cached_tokens"),
    )


def _is_plain_token(document: dict[str, object]) -> bool:
    """Whether an event brings text of an answer that goes on, and nothing else."""
    if document.get("usage") is not None or "timings" in document or document.get("error"):
        return False
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    if not isinstance(choice, dict) or choice.get("finish_reason") is not None:
        return False
    if choice.get("text"):
        return True
    delta = choice.get("delta")
    return isinstance(delta, dict) and bool(delta.get("content"))


def error_message(document: object) -> str:
    """The message of an error document in any of the shapes that engines use, shortened."""
    if isinstance(document, dict):
        error = document.get("error") or document.get("detail") or document
        message = error.get("message", error) if isinstance(error, dict) else document.get("message", error)
        return _short(str(message))
    return _short(str(document))


def _has_text(choice: dict[str, object]) -> bool:
    if choice.get("text"):
        return True
    delta = choice.get("delta")
    return isinstance(delta, dict) and any(delta.get(name) for name in _TEXTS)


def _count(part: object, name: str) -> int | None:
    value = part.get(name) if isinstance(part, dict) else None
    return value if isinstance(value, int) else None


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_DETAIL else line[: MOST_DETAIL - 1] + "…"
