"""Draws the share of the true hypervolume over measurements as a plain SVG: median lines with quartile bands."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

_WIDTH, _HEIGHT, _LEFT, _TOP = 860, 460, 60, 40
_PLOT: Final = (560, 360)
_FLOOR: Final = 0.4
"""Share at the bottom of the plot."""
_COLOURS: Final = ("#0b6e4f", "#888888", "#c0392b", "#8e44ad", "#d68910", "#2471a3", "#00b8d4", "#5d4037", "#e84393")


def plot(path: Path, title: str, shares: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]) -> None:
    """Writes the drawing of all samplers' runs."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="15">Share of the true hypervolume, {title}</text>',
    ]
    longest = max((len(run) for by_case in shares.values() for runs in by_case.values() for run in runs), default=1)
    for level in (0.4, 0.6, 0.8, 0.9, 0.95, 1.0):
        y = _y(level)
        parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + _PLOT[0]}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 40}" y="{y + 4:.1f}">{level:.0%}</text>')
    for count in range(8, longest + 1, 8):
        parts.append(f'<text x="{_x(count, longest):.1f}" y="{_TOP + _PLOT[1] + 18}">{count}</text>')
    middle, below = _LEFT + _PLOT[0] / 2, _TOP + _PLOT[1] + 38
    parts.append(f'<text x="{middle:.1f}" y="{below}" text-anchor="middle">measurements</text>')
    for number, (name, by_case) in enumerate(shares.items()):
        parts += _curve(name, by_case, longest, _COLOURS[number % len(_COLOURS)], number)
    path.write_text("\n".join([*parts, "</svg>"]), encoding="utf-8")


def _curve(
    name: str, by_case: Mapping[str, Sequence[Sequence[float]]], longest: int, colour: str, number: int
) -> list[str]:
    runs = [list(run) + [run[-1]] * (longest - len(run)) for runs in by_case.values() for run in runs if run]
    low, middle, high = np.quantile(np.array(runs), [0.25, 0.5, 0.75], axis=0)
    steps = range(1, longest + 1)
    band = [f"{_x(n, longest):.1f},{_y(high[n - 1]):.1f}" for n in steps]
    band += [f"{_x(n, longest):.1f},{_y(low[n - 1]):.1f}" for n in reversed(steps)]
    line = [f"{_x(n, longest):.1f},{_y(middle[n - 1]):.1f}" for n in steps]
    y = _TOP + 20 + 20 * number
    return [
        f'<polygon points="{" ".join(band)}" fill="{colour}" fill-opacity="0.08"/>',
        f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="2"/>',
        f'<line x1="{_LEFT + _PLOT[0] + 20}" x2="{_LEFT + _PLOT[0] + 45}" y1="{y}" y2="{y}" stroke="{colour}" '
        'stroke-width="3"/>',
        f'<text x="{_LEFT + _PLOT[0] + 52}" y="{y + 4}">{name}</text>',
    ]


def _x(count: int, longest: int) -> float:
    return _LEFT + _PLOT[0] * count / longest


def _y(share: float) -> float:
    return _TOP + _PLOT[1] * (1 - (max(share, _FLOOR) - _FLOOR) / (1 - _FLOOR))
