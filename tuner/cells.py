"""How values are written in CSV files."""

import math

Cell = str | int | float | bool | None


def cell(value: Cell) -> str:
    """A value as CSV text: integers without a point, booleans as `true` and `false`, the unknown empty."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)
