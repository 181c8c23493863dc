"""Cursors: opaque to clients, a position in an ordered list to us."""

import base64
import binascii
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from service.errors import InvalidRequest

Position = TypeVar("Position")


def encode_cursor(position: object) -> str:
    """The cursor of a position, which must be JSON."""
    return base64.urlsafe_b64encode(TypeAdapter(object).dump_json(position)).decode().rstrip("=")


def decode_cursor(cursor: str | None, kind: TypeAdapter[Position]) -> Position | None:
    """The position of a cursor made by `encode_cursor`; raises `InvalidRequest` naming `cursor`."""
    if cursor is None:
        return None
    try:
        return kind.validate_json(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValidationError, binascii.Error, UnicodeEncodeError):
        raise InvalidRequest.of("cursor", "is not one of ours; pass next_cursor of the page before") from None
