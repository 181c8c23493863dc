"""What `tune` and `submit --wait` print of a finished job."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.learning import show_learning
from service.cli.output import stdout_console
from service.cli.results import Results
from service.cli.summary import savings
from service.cli.tables import Row, distinct, metrics_shown, print_picks, print_rows, thinned
from service.client import FrontierAnswer, TrialAnswer

if TYPE_CHECKING:
    from rich.console import Console


def show_results(results: Results, out: Path | None) -> None:
    """Prints the frontier, the recommendations, the savings, and where the files are."""
    console = stdout_console()
    constraints = results.job["spec"].get("constraints")
    limits = list(constraints) if isinstance(constraints, dict) else []
    show_frontier(console, results.frontier, results.picks, limits, whole="frontier.csv" if out else "--json")
    console.print()
    show_recommendations(console, results, limits)
    console.print()
    show_learning(console, results)
    for line in savings(results.job, results.picks):
        console.print(line)
    if out is not None:
        console.print(f"Files: {out} (report.html to look at, recommendations/ to deploy)", soft_wrap=True)


def show_frontier(
    console: "Console",
    frontier: FrontierAnswer,
    picks: Mapping[str, TrialAnswer],
    limits: list[str],
    *,
    whole: str,
) -> None:
    """Prints the frontier's distinct points, or a fair selection of them; `whole` names where all of them are."""
    points = frontier["points"]
    unlike = distinct(points)
    counts = {point["number"]: count for point, count in unlike}
    keep = frozenset(trial["number"] for trial in picks.values())
    shown = thinned([point for point, _ in unlike], keep)
    hypervolume = frontier["hypervolume"]
    volume = f", hypervolume {hypervolume:.3f}" if hypervolume is not None else ""
    console.print(f"Frontier: {_count(len(points), 'configuration')}{volume}", style="bold")
    rows = [Row.of(_label(point, counts[point["number"]]), point) for point in shown]
    print_rows(console, "trial", rows, metrics_shown(frontier["objectives"], limits))
    if any(counts[point["number"]] > 1 for point in shown):
        console.print("(+n): n more configurations with the same objectives", style="dim")
    if len(shown) < len(unlike):
        console.print(f"{len(shown)} of {len(unlike)} distinct points shown; all are in {whole}", style="dim")


def show_recommendations(console: "Console", results: Results, limits: list[str]) -> None:
    """Prints the recommendations, with the default configuration below where it is known."""
    console.print("Recommendations", style="bold")
    rows = [Row.of(f"{name} ({trial['number']})", trial) for name, trial in results.picks.items()]
    baseline = results.job["baseline"]
    if baseline is not None:
        rows.append(Row("default", baseline["configuration"], baseline["metrics"], baseline["provenance"]))
    print_picks(console, "pick (trial)", rows, metrics_shown(results.frontier["objectives"], limits))


def _label(point: TrialAnswer, count: int) -> str:
    return f"{point['number']} (+{count - 1})" if count > 1 else str(point["number"])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
