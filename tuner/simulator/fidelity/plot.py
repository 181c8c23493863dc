"""Predicted against measured as an SVG, one panel a metric: no script and no library, so that every install can draw."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

PANEL: Final = 380
_LEFT, _TOP, _BOTTOM = 64, 34, 46
_INNER: Final = PANEL - _LEFT - 12
COLOURS: Final = (
    "#0969da",
    "#bf3989",
    "#1a7f37",
    "#9a6700",
    "#8250df",
    "#cf222e",
    "#0a7a8c",
    "#57606a",
    "#ff8c00",
    "#7fbf00",
    "#000080",
    "#ff69b4",
    "#00c8a0",
    "#8b4513",
    "#a0a000",
    "#00bfff",
)


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric: its title with the unit, points (measured, predicted) by group, and the goal as a fraction."""

    title: str
    points: Mapping[str, Sequence[tuple[float, float]]]
    goal: float | None = None


def scatter_plot(panels: Sequence[Panel], title: str) -> str:
    """The panels side by side with logarithmic axes; the line is the truth, the band the goal."""
    groups = list(dict.fromkeys(group for panel in panels for group in panel.points))
    colours = {group: COLOURS[index % len(COLOURS)] for index, group in enumerate(groups)}
    width, columns = PANEL * len(panels), max(1, len(panels))
    height = PANEL + 34 + 16 * -(-len(groups) // columns)
    drawn = "".join(_panel(panel, PANEL * index, colours) for index, panel in enumerate(panels))
    legend = "".join(
        f'<circle cx="{70 + index % columns * PANEL:.0f}" cy="{PANEL + 36 + index // columns * 16}" r="4" fill="{colour}"/>'
        f'<text x="{78 + index % columns * PANEL:.0f}" y="{PANEL + 40 + index // columns * 16}">{escape(group)}</text>'
        for index, (group, colour) in enumerate(colours.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="11" fill="#1b1f24"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{width / 2:.0f}" y="16" text-anchor="middle" font-size="13">{escape(title)}</text>'
        f"{drawn}{legend}</svg>\n"
    )


def _panel(panel: Panel, left: float, colours: Mapping[str, str]) -> str:
    known = [value for points in panel.points.values() for point in points for value in point if value > 0]
    if not known:
        return ""
    low, high = math.log10(min(known)) - 0.05, math.log10(max(known)) + 0.05

    def place(value: float) -> float:
        return (math.log10(value) - low) / (high - low) * _INNER

    x0, y0 = left + _LEFT, _TOP + _INNER
    band = ""
    if panel.goal is not None:
        up, down = (_INNER * math.log10(1 + sign * panel.goal) / (high - low) for sign in (1, -1))
        band = (
            f'<path d="M{x0} {y0 - down:.1f}L{x0 + _INNER} {y0 - _INNER - down:.1f}V{y0 - _INNER - up:.1f}'
            f'L{x0} {y0 - up:.1f}Z" fill="#8c959f" fill-opacity="0.25"/>'
        )
    ticks = "".join(
        f'<text x="{x0 + place(tick):.1f}" y="{y0 + 14}" text-anchor="middle">{tick:g}</text>'
        f'<text x="{x0 - 5}" y="{y0 - place(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in _ticks(10**low, 10**high)
    )
    dots = "".join(
        f'<path d="{strokes}" stroke="{colours[group]}"/>'
        for group, points in panel.points.items()
        if (strokes := _strokes([(x0 + place(x), y0 - place(y)) for x, y in points if x > 0 and y > 0]))
    )
    name = escape(panel.title)
    clip = f'<clipPath id="c{left:.0f}"><rect x="{x0}" y="{_TOP}" width="{_INNER}" height="{_INNER}"/></clipPath>'
    return (
        f'{clip}<g clip-path="url(#c{left:.0f})">{band}<path d="M{x0} {y0}L{x0 + _INNER} {_TOP}" stroke="#1b1f24"/>'
        f'<g stroke-width="4" stroke-linecap="round" stroke-opacity="0.5">{dots}</g></g><path d="M{x0} {_TOP}V{y0}H{x0 + _INNER}" fill="none" stroke="#8c959f"/>{ticks}'
        f'<text x="{x0 + _INNER / 2:.0f}" y="{y0 + _BOTTOM - 16}" text-anchor="middle">measured {name}</text>'
        f'<text transform="translate({left + 14} {_TOP + _INNER / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"predicted {name}</text>"
    )


def _strokes(places: Sequence[tuple[float, float]]) -> str:
    """Dots as strokes of no length with round ends: a tenth of the bytes that circles take."""
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between the bounds: 1, 2 and 5 of every decade, or its start alone where there are many decades."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0) if high / low < 10 else (1.0, 2.0, 5.0) if len(decades) <= 4 else (1.0,)
    return [tick for decade in decades for step in steps if low <= (tick := step * 10.0**decade) <= high]
