"""Trials as tables of a terminal: figures with units, the knobs that differ, as many columns as there is room for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from service.cli.figures import half_width, heading, legend, letter, metric_of, sensible
from service.cli.knobs import KnobColumn, Knobs, phrase, shared, varying
from service.client.answers import TrialAnswer

MOST_ROWS: Final = 15
MOST_COLUMNS: Final = 12
PHRASE_WIDTH: Final = 30
"""Least width of a column of phrases, in characters."""
_ALWAYS: Final = (
    "cost_usd_per_million_output_tokens",
    "energy_joules_per_output_token",
    "tpot_mean_ms",
    "ttft_mean_ms",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: its label, its knobs, its figures and their confidence intervals."""

    label: str
    configuration: Knobs
    metrics: Mapping[str, float]
    provenance: Mapping[str, str]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, label: str, trial: TrialAnswer) -> "Row":
        """The row of a trial."""
        intervals = trial.get("intervals") or {}
        return cls(label, trial["configuration"], trial["metrics"], trial["provenance"], intervals)


def metrics_shown(objectives: Sequence[str], constraints: Sequence[str]) -> list[str]:
    """The metrics worth a column: the job's objectives first, then what everybody asks for, then the limits."""
    wanted = [*(metric_of(objective) for objective in objectives), *_ALWAYS, *constraints]
    return list(dict.fromkeys(wanted))


def print_rows(console: Console, label: str, rows: Sequence[Row], metrics: Sequence[str]) -> None:
    """Prints the rows with what their knobs have in common above, and what the letters mean below."""
    configurations = [row.configuration for row in rows]
    known = [metric for metric in metrics if any(metric in row.metrics for row in rows)]
    columns = varying(configurations)[: max(1, MOST_COLUMNS - 1 - len(known))]
    same = shared(configurations)
    if same and len(rows) > 1:
        console.print(f"all: {same}", style="dim")
    table, dropped = _fitting(console, label, rows, known, columns)
    console.print(table)
    if dropped:
        names = ", ".join(" ".join(name.split()) for name in dropped)
        console.print(f"no room for: {names}", style="dim")
    _print_notes(console, rows, known)


def print_picks(console: Console, label: str, rows: Sequence[Row], metrics: Sequence[str]) -> None:
    """Prints the rows with the knobs that tell them apart as a phrase, in as many lines as they need."""
    configurations = [row.configuration for row in rows]
    known = [metric for metric in metrics if any(metric in row.metrics for row in rows)]
    columns = varying(configurations)
    while _width(console, _table(label, rows, known, [])) > console.width - PHRASE_WIDTH and _least(known):
        known.remove(_least(known))
    phrases = [phrase(knobs, columns) for knobs in configurations]
    console.print(_table(label, rows, known, [], phrases))
    _print_notes(console, rows, known)


def distinct(points: Sequence[TrialAnswer]) -> list[tuple[TrialAnswer, int]]:
    """The points without those that equal an earlier one in every objective, each with how many it stands for."""
    found: dict[tuple[float, ...], tuple[TrialAnswer, int]] = {}
    for point in points:
        key = tuple(point["objectives"].values())
        first, count = found.get(key, (point, 0))
        found[key] = (first, count + 1)
    return list(found.values())


def thinned(points: Sequence[TrialAnswer], keep: frozenset[int], most: int = MOST_ROWS) -> list[TrialAnswer]:
    """At most `most` of the points, spread evenly over their order; those numbered in `keep` stay."""
    if len(points) <= most:
        return list(points)
    chosen = {index for index, point in enumerate(points) if point["number"] in keep}
    for step in range(most):
        if len(chosen) >= most:
            break
        chosen.add(round(step * (len(points) - 1) / (most - 1)))
    return [points[index] for index in sorted(chosen)]


def _print_notes(console: Console, rows: Sequence[Row], metrics: Sequence[str]) -> None:
    """What the letters and the intervals mean."""
    found = legend(source for row in rows for metric in metrics if (source := row.provenance.get(metric)))
    if any(metric in row.intervals for row in rows for metric in metrics):
        found += "; ±: half width of the 95 % confidence interval"
    if found:
        console.print(found, style="dim")


def _least(metrics: Sequence[str]) -> str:
    """The metric that is left out first where there is no room; empty when all of them must be shown."""
    return next((metric for metric in reversed(metrics) if metric not in _ALWAYS), "")


def _width(console: Console, table: Table) -> int:
    """The width of a table that nothing cuts."""
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _fitting(
    console: Console, label: str, rows: Sequence[Row], metrics: Sequence[str], columns: Sequence[KnobColumn]
) -> tuple[Table, list[str]]:
    """The table with as many knob and metric columns as the console has room for, and the headings left out."""
    kept_metrics, kept_columns, dropped = list(metrics), list(columns), list[str]()
    while True:
        table = _table(label, rows, kept_metrics, kept_columns)
        if _width(console, table) <= console.width:
            return table, dropped
        least = _least(kept_metrics)
        if least:
            kept_metrics.remove(least)
            dropped.append(heading(least))
        elif len(kept_columns) > 1:
            dropped.append(kept_columns.pop().heading)
        else:
            return table, dropped


def _table(
    label: str,
    rows: Sequence[Row],
    metrics: Sequence[str],
    columns: Sequence[KnobColumn],
    phrases: Sequence[str] = (),
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    table.add_column(label, no_wrap=True)
    uniform = {metric: _uniform(metric, rows) for metric in metrics}
    for metric in metrics:
        mark = letter(uniform[metric])
        name, _, unit = heading(metric).partition("\n")
        table.add_column(f"{name}{mark}\n{unit}", justify="right", no_wrap=True)
    for column in columns:
        table.add_column(column.heading, justify="right" if _numeric(column, rows) else "left", no_wrap=True)
    if phrases:
        table.add_column("configuration", overflow="fold")
    for place, row in enumerate(rows):
        figures = [_cell(row, metric, marked=uniform[metric] is None) for metric in metrics]
        table.add_row(
            row.label, *figures, *(column.cell(row.configuration) for column in columns), *phrases[place : place + 1]
        )
    return table


def _cell(row: Row, metric: str, *, marked: bool) -> str:
    value = row.metrics.get(metric)
    mark = letter(row.provenance.get(metric)) if marked else ""
    return f"{sensible(value)}{mark}{half_width(value, row.intervals.get(metric))}"


def _uniform(metric: str, rows: Sequence[Row]) -> str | None:
    """The provenance that a metric has in every row that knows it; `None` when they differ."""
    sources = {row.provenance.get(metric) for row in rows if metric in row.metrics}
    return sources.pop() if len(sources) == 1 else None


def _numeric(column: KnobColumn, rows: Sequence[Row]) -> bool:
    return all(column.cell(row.configuration).isdigit() for row in rows)
