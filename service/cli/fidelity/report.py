"""The error tables of `paretune bench fidelity`."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from service.cli.figures import unit_of
from service.cli.output import stdout_console
from tuner.simulator.fidelity.compare import GROUPINGS, VARIANTS, Errors, Variant, errors, grouped, variant
from tuner.simulator.fidelity.figures import FAILURE_COLUMN, PREDICTED_COLUMNS, RowResult
from tuner.simulator.fidelity.table import TableKind

if TYPE_CHECKING:
    from rich.console import Console

MOST_PROBLEMS: Final = 20
MOST_GROUPS: Final = 25
HEADINGS: Final[Mapping[str, str]] = {
    "ttft_ms": "TTFT",
    "ttft_p99_ms": "TTFT p99",
    "tpot_ms": "TPOT",
    "output_tokens_per_second_per_gpu": "output tok/s/GPU",
    "power_watts_per_gpu": "W/GPU",
    "energy_joules_per_output_token": "J/output token",
}
GOALS: Final[Mapping[str, float]] = {
    "ttft_ms": 0.25,
    "ttft_p99_ms": 0.40,
    "tpot_ms": 0.12,
    "output_tokens_per_second_per_gpu": 0.12,
    "power_watts_per_gpu": 0.12,
    "energy_joules_per_output_token": 0.20,
}
"""What the product wants to reach: TTFT by its median absolute error, the others by the mean."""
WORDS: Final[Mapping[str, str]] = {
    "calibrated": "corrected",
    "simulated": "simulated",
    "formula": "formula",
}

_LEGEND: Final = (
    "simulated: the procedure of the measurement, played on kernel times; corrected: the same, times what measured\n"
    "points taught; formula: the closed formula of the kernel data's package. Rows that taught the correction\n"
    "(silicon_sample.csv) or the power model (H100 chat) flatter it: docs/fidelity.md has held-out errors."
)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of a table: counts, failures by kind, and errors by variant, overall and by group."""

    table: Path
    kind: TableKind
    rows: int
    predicted: int
    failures: Mapping[str, int]
    shown: str
    overall: Mapping[str, Sequence[Errors]]
    groups: Mapping[str, Mapping[str, Sequence[Errors]]]
    goals: Mapping[str, float]

    @property
    def variant(self) -> Variant:
        """Reads the shown prediction of a row."""
        return variant(self.shown)

    @property
    def grouping_of_plot(self) -> str:
        """What the dots of the plot are coloured by."""
        return "gpu" if self.kind is TableKind.SERVING else "model"

    def heading(self, metric: str) -> str:
        """A metric in a few words with its unit."""
        return f"{HEADINGS[metric]} (ms)" if metric.endswith("_ms") else HEADINGS[metric] or unit_of(metric)

    def document(self) -> dict[str, object]:
        """The report as plain data."""
        return {
            "table": str(self.table),
            "kind": self.kind.value,
            "rows": self.rows,
            "predicted": self.predicted,
            "failures": dict(self.failures),
            "predictions": self.shown,
            "errors": {name: [asdict(entry) for entry in listed] for name, listed in self.overall.items()},
            "groups": {
                grouping: {name: [asdict(entry) for entry in listed] for name, listed in found.items()}
                for grouping, found in self.groups.items()
            },
        }


def report_of(table: Path, kind: TableKind, results: Sequence[RowResult], *, corrected: bool) -> Report:
    """The report on a table whose rows gave `results`."""
    shown = "calibrated" if corrected and kind is TableKind.SERVING else "simulated"
    names = [name for name in VARIANTS if corrected or name != "calibrated"]
    overall = {name: found for name in names if (found := errors(results, variant(name)))}
    overall.setdefault(shown, [])
    return Report(
        table=table,
        kind=kind,
        rows=len(results),
        predicted=sum(result.failure is None for result in results),
        failures=Counter(result.failure.kind.value for result in results if result.failure is not None),
        shown=shown,
        overall=overall,
        groups={grouping: grouped(results, grouping, variant(shown)) for grouping in GROUPINGS},
        goals=GOALS,
    )


def tell_problems(results: Sequence[RowResult]) -> None:
    """Names the broken rows on standard error, by their number in the file's body, the first being 1."""
    broken = [(number, result.problem) for number, result in enumerate(results, start=1) if result.problem]
    for number, problem in broken[:MOST_PROBLEMS]:
        print(f"paretune: row {number}: {problem}", file=sys.stderr)
    if len(broken) > MOST_PROBLEMS:
        print(f"paretune: {len(broken) - MOST_PROBLEMS} more rows are broken", file=sys.stderr)


def print_report(report: Report, out: Path | None, plot: Path | None) -> None:
    """Prints the tables, and where the files went."""
    console = stdout_console()
    failed = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.failures.items()))
    note = f"; the others: {failed}" if failed else ""
    console.print(f"{report.table.name}: {report.predicted:,} of {report.rows:,} rows predicted{note}", style="bold")
    measured = any(report.overall.values())
    if measured:
        _print_overall(console, report)
        for grouping, found in report.groups.items():
            if len(found) > 1:
                _print_groups(console, grouping, found)
    else:
        console.print("No row has a measured figure: nothing to compare with.")
    if out is not None:
        console.print(f"Predictions: {out} ({len(PREDICTED_COLUMNS)} columns and `{FAILURE_COLUMN}` added)")
    if plot is not None:
        console.print(f"Plot: {plot}" if measured else f"Plot: {plot} (empty)")


def _print_overall(console: "Console", report: Report) -> None:
    from rich import box
    from rich.table import Table

    table = Table(title="Errors of all rows", title_justify="left", box=box.SIMPLE, pad_edge=False)
    table.add_column("prediction")
    table.add_column("metric")
    for heading in ("rows", "mean |error|", "median |error|", "bias", "goal"):
        table.add_column(heading, justify="right")
    for name, listed in report.overall.items():
        for entry in listed:
            which = "median" if entry.metric == "ttft_ms" else "mean"
            table.add_row(
                WORDS[name],
                report.heading(entry.metric),
                f"{entry.count:,}",
                f"{100 * entry.mean_absolute:.1f} %",
                f"{100 * entry.median_absolute:.1f} %",
                f"{100 * entry.bias:+.1f} %",
                f"{which} ≤ {100 * report.goals[entry.metric]:.0f} %",
            )
        table.add_section()
    console.print(table)
    console.print(_LEGEND, style="dim")


def _print_groups(console: "Console", grouping: str, found: Mapping[str, Sequence[Errors]]) -> None:
    """Mean absolute errors with the bias behind them; of TTFT the median absolute error, which outliers leave alone."""
    from rich import box
    from rich.table import Table

    metrics = [
        metric for metric in HEADINGS if any(entry.metric == metric for listed in found.values() for entry in listed)
    ]
    table = Table(title=f"By {grouping}: |error| (bias)", title_justify="left", box=box.SIMPLE, pad_edge=False)
    table.add_column(grouping, overflow="fold")
    table.add_column("rows", justify="right")
    for metric in metrics:
        statistic = "median" if metric == "ttft_ms" else "mean"
        table.add_column(f"{HEADINGS[metric]}\n{statistic}", justify="right")
    for name, listed in list(found.items())[:MOST_GROUPS]:
        by_metric = {entry.metric: entry for entry in listed}
        cells = [_cell(by_metric.get(metric)) for metric in metrics]
        table.add_row(name, f"{max(entry.count for entry in listed):,}", *cells)
    console.print(table)
    if len(found) > MOST_GROUPS:
        console.print(f"{len(found) - MOST_GROUPS} smaller groups are in --json", style="dim")


def _cell(entry: Errors | None) -> str:
    if entry is None:
        return ""
    absolute = entry.median_absolute if entry.metric == "ttft_ms" else entry.mean_absolute
    return f"{100 * absolute:.1f} % ({100 * entry.bias:+.0f})"
