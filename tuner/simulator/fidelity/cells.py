"""Reads the cells of a measured table; a broken one is named by its column."""

import math
from collections.abc import Mapping

Row = Mapping[str, str]


class BrokenCellError(ValueError):
    """A cell does not hold what its column asks for."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(f"column {column} {message}")


def text(row: Row, column: str, default: str | None = None) -> str:
    """The words in a cell; raises `BrokenCellError` where it is empty and nothing stands for it."""
    value = (row.get(column) or "").strip()
    if value:
        return value
    if default is None:
        raise BrokenCellError(column, "is empty; it is needed to predict the row")
    return default


def number(row: Row, column: str, default: float | None = None) -> float:
    """The finite number in a cell; raises `BrokenCellError` where it is none, or empty with nothing to stand for it."""
    found = text(row, column, None if default is None else "")
    if not found and default is not None:
        return default
    try:
        value = float(found)
    except ValueError:
        raise BrokenCellError(column, f"must be a number, not {found!r}") from None
    if not math.isfinite(value):
        raise BrokenCellError(column, f"must be a finite number, not {found!r}")
    return value


def positive(row: Row, column: str, default: float | None = None) -> float:
    """A number above zero."""
    value = number(row, column, default)
    if value <= 0:
        raise BrokenCellError(column, f"must be above 0, not {value:g}")
    return value


def count(row: Row, column: str, default: int) -> int:
    """A whole number of at least one; empty cells and zeros take the default (the wheel's table writes both)."""
    value = number(row, column, 0.0)
    if value < 0 or value != int(value):
        raise BrokenCellError(column, f"must be a whole number, not {value:g}")
    return int(value) or default


def measured(row: Row, column: str) -> float | None:
    """A measured figure; `None` where the table has no such column, or no figure above zero in it."""
    value = number(row, column, 0.0)
    return value if value > 0 else None
