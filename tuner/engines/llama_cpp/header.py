"""Reads the header of a GGUF file in milliseconds: `gguf`'s own reader takes seconds for the vocabulary.

Format: `docs/gguf.md` of ggml, versions 2 and 3, little-endian.
"""

import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Final

_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""`struct` codes of the types of values, by their number in the format."""
_STRING, _ARRAY = 8, 9
_VERSIONS: Final = (2, 3)
_MOST_DIMENSIONS: Final = 4


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as the header lists it: dimensions (the row first), type by ggml's number, offset in the data."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says of itself; `fields` leaves arrays out. `data_start` in bytes, before alignment."""

    fields: dict[str, str | int | float | bool]
    tensors: tuple[Tensor, ...]
    data_start: int


def read_header(path: Path) -> Header:
    """The header of a GGUF file; raises `ValueError` when it is none or is cut off, `OSError` when it cannot be read."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _Cursor(data).header()
        except (struct.error, IndexError, OverflowError, UnicodeDecodeError) as error:
            raise ValueError(f"its header is cut off or garbled: {error}") from None


class _Cursor:
    """A place in the bytes of a file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def header(self) -> Header:
        if self._data[:4] != b"GGUF":
            raise ValueError("it does not begin with GGUF")
        self._at = 4
        version = int(self._number("I"))
        if version not in _VERSIONS:
            raise ValueError(f"version {version} of the format is not known")
        tensors, fields = int(self._number("Q")), int(self._number("Q"))
        found = dict(self._field() for _ in range(fields))
        listed = tuple(self._tensor() for _ in range(tensors))
        return Header({name: value for name, value in found.items() if value is not None}, listed, self._at)

    def _field(self) -> tuple[str, str | int | float | bool | None]:
        return self._text(), self._value(int(self._number("I")))

    def _value(self, kind: int) -> str | int | float | bool | None:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            self._pass_array()
            return None
        if kind not in _SCALARS:
            raise ValueError(f"it holds a value of unknown type {kind}")
        return self._number(_SCALARS[kind])

    def _pass_array(self) -> None:
        kind, count = int(self._number("I")), int(self._number("Q"))
        if kind in _SCALARS:
            self._at += count * struct.calcsize(_SCALARS[kind])
            return
        for _ in range(count):
            if kind == _STRING:
                length = int(self._number("Q"))
                self._at += length
            else:
                self._value(kind)

    def _tensor(self) -> Tensor:
        name, dimensions = self._text(), int(self._number("I"))
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError(f"tensor {name} has {dimensions} dimensions")
        shape = tuple(int(self._number("Q")) for _ in range(dimensions))
        return Tensor(name, shape, int(self._number("I")), int(self._number("Q")))

    def _text(self) -> str:
        length = int(self._number("Q"))
        text = self._data[self._at : self._at + length]
        if len(text) < length:
            raise ValueError("it is cut off")
        self._at += length
        return text.decode("utf-8")

    def _number(self, code: str) -> int | float | bool:
        (value,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += struct.calcsize(code)
        number: int | float | bool = value
        return number
