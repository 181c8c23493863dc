"""Reads an engine's log while it is being written."""

import os
from pathlib import Path
from typing import Final

SEARCHED_BYTES: Final = 4 * 1024 * 1024
"""How much of the end of a log is searched for the reason of a failure."""


def tail(path: Path, most_bytes: int) -> str:
    """The end of a log as text of at most `most_bytes` in UTF-8, from the start of a line on; empty without a log.

    Bytes that are not UTF-8, and NUL, which databases refuse, become the replacement character.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - most_bytes)
            file.seek(start)
            data = file.read(most_bytes)
    except FileNotFoundError:
        return ""
    text = data.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    encoded = text.encode()
    was_cut = start > 0 or len(encoded) > most_bytes
    if len(encoded) > most_bytes:
        text = encoded[-most_bytes:].decode("utf-8", "ignore")
    return _from_line_start(text) if was_cut else text


def searched(path: Path) -> str:
    """The part of a log in which the reason of a failure is looked for."""
    return tail(path, SEARCHED_BYTES)


class NewLines:
    """Reads what is appended to a log, whole lines at a time; of a burst, only the last `SEARCHED_BYTES`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> str:
        """The lines that were written since the last call, as text; empty when there are none."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                start = max(self._offset, size - SEARCHED_BYTES)
                file.seek(start)
                data = file.read(size - start)
        except FileNotFoundError:
            return ""
        whole, newline, _ = data.rpartition(b"\n")
        self._offset = start + len(whole) + len(newline)
        return whole.decode("utf-8", "replace")


def size_of(path: Path) -> int:
    """Bytes of a log; 0 without one."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _from_line_start(text: str) -> str:
    _, newline, rest = text.partition("\n")
    return rest if newline and rest else text
