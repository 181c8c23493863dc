"""Asks a server on loopback a short question."""

import http.client
import json
from typing import Final

from tuner.engines.base import Address

_SECONDS: Final = 2.0
_MOST_BYTES: Final = 8 * 1024 * 1024


def get(address: Address, path: str, seconds: float = _SECONDS) -> tuple[int, bytes] | None:
    """Status and body that the server answers with; `None` when it does not answer in time, or not in HTTP."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_ready(address: Address, path: str) -> bool:
    """Whether the server answers 200 there."""
    answer = get(address, path)
    return answer is not None and answer[0] == http.client.OK


def get_json(address: Address, path: str) -> object | None:
    """The JSON that the server answers with; `None` when it answers with none."""
    answer = get(address, path)
    if answer is None or answer[0] != http.client.OK:
        return None
    try:
        data: object = json.loads(answer[1])
    except ValueError:
        return None
    return data
