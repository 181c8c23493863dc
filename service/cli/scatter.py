"""A scatter plot of a frontier as an SVG, without a script and without a library."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from service.cli.figures import sensible, unit_of
from service.client import TrialAnswer

WIDTH: Final = 720
HEIGHT: Final = 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 150, 20, 50
_TICKS: Final = 5


def scatter(points: Sequence[TrialAnswer], picks: Mapping[str, TrialAnswer], across: str, up: str) -> str:
    """The points by two metrics (`across` and `up`), the recommended ones named; nothing without two points."""
    known = [point for point in points if across in point["metrics"] and up in point["metrics"]]
    if len(known) < 2:
        return ""
    x = _Axis([point["metrics"][across] for point in known], _LEFT, WIDTH - _RIGHT)
    y = _Axis([point["metrics"][up] for point in known], HEIGHT - _BOTTOM, _TOP)
    names: dict[int, list[str]] = {}
    for name, trial in picks.items():
        names.setdefault(trial["number"], []).append(name)
    dots = [_dot(point, x.place(point["metrics"][across]), y.place(point["metrics"][up]), names) for point in known]
    frame = f'<path d="M{_LEFT} {_TOP}V{HEIGHT - _BOTTOM}H{WIDTH - _RIGHT}" fill="none" stroke="#8c959f"/>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" font-size="12" fill="#1b1f24" '
        f'aria-label="{escape(across)} and {escape(up)} of the frontier">{frame}{_ticks(x, y)}'
        f'<text x="{(_LEFT + WIDTH - _RIGHT) // 2}" y="{HEIGHT - 10}" text-anchor="middle">{_title(across)}</text>'
        f'<text transform="translate(16 {HEIGHT // 2}) rotate(-90)" text-anchor="middle">{_title(up)}</text>'
        f"{''.join(dots)}</svg>"
    )


class _Axis:
    """Maps values to places with a little room at both ends; logarithmic, unless a value is not above zero."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self._is_log = min(values) > 0
        low, high = self._scale(min(values)), self._scale(max(values))
        room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        self._low, self._high = low - room, high + room
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        """Where a value lies, in user units of the SVG."""
        return self._start + (self._scale(value) - self._low) / (self._high - self._low) * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Round values where several fit on a logarithmic axis, else evenly spaced ones."""
        if self._is_log:
            decades = range(math.floor(self._low), math.ceil(self._high) + 1)
            for steps in ((1,), (1, 3), (1, 2, 5)):
                round_ones = [step * 10.0**decade for decade in decades for step in steps]
                inside = [value for value in round_ones if self._low <= math.log10(value) <= self._high]
                if len(inside) >= 3:
                    return inside
        even = [self._low + (self._high - self._low) * step / (_TICKS - 1) for step in range(_TICKS)]
        return [10.0**value for value in even] if self._is_log else even

    def _scale(self, value: float) -> float:
        return math.log10(value) if self._is_log else value


def _ticks(x: _Axis, y: _Axis) -> str:
    below = "".join(
        f'<text x="{x.place(tick):.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{sensible(tick)}</text>'
        for tick in x.ticks()
    )
    beside = "".join(
        f'<text x="{_LEFT - 6}" y="{y.place(tick) + 4:.1f}" text-anchor="end">{sensible(tick)}</text>'
        for tick in y.ticks()
    )
    return below + beside


def _dot(point: TrialAnswer, x: float, y: float, names: Mapping[int, Sequence[str]]) -> str:
    named = names.get(point["number"])
    radius, colour = (6, "#bf3989") if named else (4, "#0969da")
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"><title>trial {point["number"]}</title></circle>'
    return dot + (f'<text x="{x + 9:.1f}" y="{y + 4:.1f}">{escape(", ".join(named))}</text>' if named else "")


def _title(metric: str) -> str:
    return escape(f"{metric} ({unit_of(metric)})")
