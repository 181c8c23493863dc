"""Bodies of requests: how large they may be, and job specs as JSON or YAML."""

from typing import Final

import yaml
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import UnreadableBody, UnsupportedMediaType

LIMIT_BYTES: Final = 1_000_000
"""Largest body that a call takes."""

JSON_TYPES: Final = ("application/json",)
YAML_TYPES: Final = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


class BodyLimit:
    """Middleware that answers 413 to bodies above `LIMIT_BYTES`, whether they say their length or not."""

    def __init__(self, app: ASGIApp, limit_bytes: int = LIMIT_BYTES) -> None:
        self.app = app
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts the body as the application reads it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit_bytes:
                raise HTTPException(413, f"the body is larger than {self.limit_bytes:,} bytes; send a smaller one")
            return message

        await self.app(scope, counted, send)


def read_data(body: bytes, content_type: str | None) -> object:
    """The plain data of a JSON or YAML body; without a content type it is read as JSON.

    Raises `UnreadableBody` with the position of the fault, `UnsupportedMediaType` for other types.
    """
    media_type = (content_type or JSON_TYPES[0]).partition(";")[0].strip().lower()
    if media_type in YAML_TYPES:
        return _read_yaml(body)
    if media_type in JSON_TYPES or media_type.endswith("+json"):
        return _read_json(body)
    raise UnsupportedMediaType(f"cannot read {media_type}; send {JSON_TYPES[0]} or {YAML_TYPES[0]}")


def _read_json(body: bytes) -> object:
    if not body.strip():
        raise UnreadableBody.of("", "the body is empty; send a job spec as JSON")
    try:
        return from_json(body)
    except ValueError as error:
        raise UnreadableBody.of("", f"the body is not valid JSON: {error}; mend that place") from None


def _read_yaml(body: bytes) -> object:
    try:
        return yaml.safe_load(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UnreadableBody.of("", f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise UnreadableBody.of("", "the body is nested too deeply for a job spec") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UnreadableBody.of("", f"the body is not valid YAML: {place}{reason}; mend that line") from None
