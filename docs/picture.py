"""Draws docs/frontier.svg from a run of an example: `uv run python docs/picture.py [SPEC] [--out FILE]`.

Every feasible configuration is a dot at its TPOT and its cost, both on logarithmic scales. Those on the frontier are
coloured by their energy, the others are dimmed. The colours follow the reader's light or dark mode.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tuner.evaluators.pool import EvaluationPool  # noqa: E402
from tuner.frontier import recommendations  # noqa: E402
from tuner.search.run import run_job  # noqa: E402
from tuner.search.study import Baseline, Progress  # noqa: E402
from tuner.spec import JobSpec  # noqa: E402
from tuner.spec_file import load_spec  # noqa: E402
from tuner.trial import Trial, TrialState  # noqa: E402

EXAMPLE: Final = ROOT / "examples" / "llama-3.1-8b-chat-h100.yaml"
PICTURE: Final = ROOT / "docs" / "frontier.svg"
X_METRIC: Final = "tpot_mean_ms"
Y_METRIC: Final = "cost_usd_per_million_output_tokens"
ENERGY: Final = "energy_joules_per_output_token"
WIDTH, HEIGHT = 880, 520
LEFT, RIGHT, TOP, BOTTOM = 78, 24, 64, 60
SHADES: Final = 5

STYLE: Final = """
.paper { fill: #ffffff; stroke: #d0d7de } .text { fill: #1f2328 } .soft { fill: #59636e } .grid { stroke: #e7ebef }
.dim { stroke: #c3cad2 } .edge { stroke: #59636e } .ring { stroke: #1f2328 } .halo { stroke: #ffffff }
.default { stroke: #cf222e } .default-text { fill: #cf222e }
.e0 { fill: #1a7f5a } .e1 { fill: #2c7fb8 } .e2 { fill: #6f5bd0 } .e3 { fill: #b4489a } .e4 { fill: #d1603d }
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif } .title { font-size: 16px; font-weight: 600 }
.small { font-size: 12px } .name { font-weight: 600 } .halo { stroke-width: 4; stroke-linejoin: round }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117; stroke: #30363d } .text { fill: #e6edf3 } .soft { fill: #9198a1 } .grid { stroke: #21262d }
.dim { stroke: #3a424c } .edge { stroke: #9198a1 } .ring { stroke: #e6edf3 } .halo { stroke: #0d1117 }
.default { stroke: #ff7b72 } .default-text { fill: #ff7b72 }
.e0 { fill: #3fcf93 } .e1 { fill: #58a6ff } .e2 { fill: #a594ff } .e3 { fill: #ee7fd0 } .e4 { fill: #ff9a6b }
}
"""


@dataclass
class Found:
    """A study's listener that keeps its trials, the frontier's numbers and the default configuration."""

    trials_by_number: dict[int, Trial] = field(default_factory=dict)
    frontier: tuple[int, ...] = ()
    baseline: Baseline | None = None

    def started(self, space_size: int, sampler: str, baseline: Baseline | None) -> None:
        """Keeps the default configuration."""
        del space_size, sampler
        self.baseline = baseline

    def trials(self, batch: Sequence[Trial], progress: Progress, frontier: Sequence[int]) -> None:
        """Keeps the newest figures of each trial."""
        del progress
        self.trials_by_number.update((trial.number, trial) for trial in batch)
        self.frontier = tuple(frontier)

    def doing(self, words: str | None) -> None:
        """A simulation is at nothing else."""

    def cancelled(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class Scale:
    """A logarithmic scale from figures to places on the picture."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """The place of a figure."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """1, 2 and 5 of each decade inside the scale."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        return [
            step * 10.0**decade
            for decade in decades
            for step in (1, 2, 5)
            if self.low <= step * 10.0**decade <= self.high
        ]


def draw(spec: JobSpec, found: Found) -> str:
    """The picture of a finished study as SVG."""
    feasible = [t for t in found.trials_by_number.values() if t.state is TrialState.COMPLETE]
    front = [found.trials_by_number[number] for number in found.frontier]
    x = _scale([t.metrics[X_METRIC] for t in feasible], LEFT, WIDTH - RIGHT, low=0.72, high=1.05)
    y = _scale([t.metrics[Y_METRIC] for t in feasible], HEIGHT - BOTTOM, TOP, low=0.62, high=1.1)
    behind = sorted({(round(x(t.metrics[X_METRIC])), round(y(t.metrics[Y_METRIC]))) for t in feasible})
    dots = "".join(f"M{left} {top}h0" for left, top in behind)
    title = f"{len(feasible):,} feasible configurations of {spec.model.rpartition('/')[2]} on {spec.hardware.gpus} × {spec.hardware.gpu[0]}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8"/>',
        _text(LEFT, 28, title, "title text"),
        _text(LEFT, 47, f"{len(front)} on the frontier; limits: {_limits(spec)}", "small soft"),
        *_axes(x, y),
        f'<path class="dim" fill="none" stroke-width="3" stroke-linecap="round" d="{dots}"/>',
        _envelope(front, x, y),
        *_frontier(front, x, y),
        *_marks(spec, front, found.baseline, x, y),
        *_legend(front),
        "</svg>\n",
    ]
    return "\n".join(part for part in parts if part)


def _scale(values: Sequence[float], start: float, stop: float, *, low: float, high: float) -> Scale:
    return Scale(min(values) * low, max(values) * high, start, stop)


def _text(left: float, top: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{left:g}" y="{top:g}" text-anchor="{anchor}">{escape(words)}</text>'


def _limits(spec: JobSpec) -> str:
    return ", ".join(f"{key} {bound:g}" for key, bound in spec.constraints.items()) or "none"


def _axes(x: Scale, y: Scale) -> list[str]:
    parts = []
    for tick in x.ticks():
        place = round(x(tick), 1)
        parts.append(f'<line class="grid" x1="{place}" x2="{place}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(_text(place, HEIGHT - BOTTOM + 18, f"{tick:g}", "small soft", "middle"))
    for tick in y.ticks():
        place = round(y(tick), 1)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place}" y2="{place}"/>')
        parts.append(_text(LEFT - 8, place + 4, f"{tick:g}", "small soft", "end"))
    parts.append(
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 18, "TPOT, ms (mean time per output token)", "text", "middle")
    )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="text" transform="translate(22 {middle:g}) rotate(-90)" text-anchor="middle">'
        "cost, $ per million output tokens</text>"
    )
    return parts


def _envelope(front: Sequence[Trial], x: Scale, y: Scale) -> str:
    """The staircase of cost against TPOT; frontier points above it are there for their energy."""
    lowest = math.inf
    steps: list[tuple[float, float]] = []
    for trial in sorted(front, key=lambda t: (t.metrics[X_METRIC], t.metrics[Y_METRIC])):
        if trial.metrics[Y_METRIC] < lowest:
            lowest = trial.metrics[Y_METRIC]
            steps.append((x(trial.metrics[X_METRIC]), y(lowest)))
    path = f"M{steps[0][0]:.1f} {steps[0][1]:.1f}" + "".join(f"H{b[0]:.1f}V{b[1]:.1f}" for _, b in pairwise(steps))
    return f'<path class="edge" fill="none" stroke-width="1" stroke-opacity="0.7" d="{path}"/>'


def _shades(front: Sequence[Trial]) -> tuple[float, float]:
    energies = [math.log(trial.metrics[ENERGY]) for trial in front if ENERGY in trial.metrics]
    return (min(energies), max(energies)) if energies else (0.0, 0.0)


def _frontier(front: Sequence[Trial], x: Scale, y: Scale) -> list[str]:
    low, high = _shades(front)
    dots = []
    for trial in front:
        share = (
            (math.log(trial.metrics[ENERGY]) - low) / (high - low) if high > low and ENERGY in trial.metrics else 0.0
        )
        shade = min(SHADES - 1, int(share * SHADES))
        dots.append(
            f'<circle class="e{shade}" cx="{x(trial.metrics[X_METRIC]):.1f}" cy="{y(trial.metrics[Y_METRIC]):.1f}" r="4.5"/>'
        )
    return dots


def _marks(spec: JobSpec, front: Sequence[Trial], baseline: Baseline | None, x: Scale, y: Scale) -> list[str]:
    """The recommendations, those of one trial together, and the default configuration."""
    by_number = {trial.number: trial for trial in front}
    names: dict[int, list[str]] = {}
    for name, number in recommendations(front, spec.objectives).items():
        names.setdefault(number, []).append(name)
    parts = []
    for number, held in names.items():
        metrics = by_number[number].metrics
        left, top = x(metrics[X_METRIC]), y(metrics[Y_METRIC])
        figures = f"${metrics[Y_METRIC]:.3g}, {metrics[ENERGY]:.2g} J/token, {metrics[X_METRIC]:.3g} ms"
        parts.append(f'<circle class="ring" fill="none" stroke-width="2" cx="{left:.1f}" cy="{top:.1f}" r="8"/>')
        parts += _label(left, top, ", ".join(held), figures, right="fastest" in held)
    if baseline is not None and {X_METRIC, Y_METRIC} <= set(baseline.metrics):
        left, top = x(baseline.metrics[X_METRIC]), y(baseline.metrics[Y_METRIC])
        parts.append(
            f'<path class="default" fill="none" stroke-width="2.5" d="M{left - 7:.1f} {top:.1f}l7 -7l7 7l-7 7z"/>'
        )
        figures = f"${baseline.metrics[Y_METRIC]:.3g}, {baseline.metrics[X_METRIC]:.3g} ms"
        parts += _haloed(left, top - 30, "default", "default-text name", "middle")
        parts += _haloed(left, top - 15, figures, "small default-text", "middle")
    return parts


def _label(left: float, top: float, name: str, figures: str, *, right: bool) -> list[str]:
    """Beside the point: to the right of the fastest, else to the lower left, where the frontier leaves room."""
    if right:
        return [*_haloed(left + 14, top - 4, name, "text name"), *_haloed(left + 14, top + 12, figures, "small soft")]
    return [
        *_haloed(left - 12, top + 10, name, "text name", "end"),
        *_haloed(left - 12, top + 26, figures, "small soft", "end"),
    ]


def _haloed(left: float, top: float, words: str, kind: str, anchor: str = "start") -> list[str]:
    return [
        _text(round(left, 1), round(top, 1), words, f"{kind} halo", anchor),
        _text(round(left, 1), round(top, 1), words, kind, anchor),
    ]


def _legend(front: Sequence[Trial]) -> list[str]:
    low, high = (math.exp(bound) for bound in _shades(front))
    left, top = WIDTH - RIGHT - 330, TOP + 22
    parts = [_text(left, top, "frontier, by energy", "small text")]
    parts += [
        f'<circle class="e{shade}" cx="{left + 124 + 16 * shade}" cy="{top - 4}" r="4.5"/>' for shade in range(SHADES)
    ]
    parts.append(_text(left + 216, top, f"{low:.2g} to {high:.2g} J/token", "small soft"))
    parts.append(
        f'<path class="dim" fill="none" stroke-width="3" stroke-linecap="round" d="M{left + 124} {top + 16}h0m8 3h0m8 -5h0m8 4h0"/>'
    )
    parts.append(_text(left, top + 20, "dominated", "small soft"))
    return parts


def main() -> int:
    """Runs the spec and writes its picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", type=Path, nargs="?", default=EXAMPLE)
    parser.add_argument("--out", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    spec, found = load_spec(arguments.spec), Found()
    with EvaluationPool() as pool:
        run_job(spec, found, pool)
    if not found.frontier:
        print("no configuration is feasible; there is nothing to draw", file=sys.stderr)
        return 3
    arguments.out.write_text(draw(spec, found), encoding="utf-8")
    print(
        f"wrote {arguments.out}: {len(found.frontier)} of {len(found.trials_by_number)} configurations on the frontier"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
