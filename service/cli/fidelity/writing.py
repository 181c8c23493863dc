"""The files that `paretune bench fidelity` writes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from service.cli.errors import BadUsageError

if TYPE_CHECKING:
    from service.cli.fidelity.report import Report
    from tuner.simulator.fidelity.figures import RowResult

_MOST_GROUPS: Final = 8


def check_targets(out: Path | None, plot: Path | None) -> None:
    """Raises `BadUsageError` before anything is computed where a file cannot be written, or is of another kind."""
    if plot is not None and plot.suffix.lower() != ".svg":
        raise BadUsageError(f"--plot draws an SVG: give a name that ends in .svg, not {plot.name}")
    for option, path in (("--out", out), ("--plot", plot)):
        if path is None:
            continue
        if path.is_dir():
            raise BadUsageError(f"{option} {path} is a folder; give the name of a file")
        if not path.parent.is_dir():
            raise BadUsageError(f"{option}: the folder {path.parent} does not exist; make it first")


def write_plot(path: Path, report: "Report", results: Sequence["RowResult"]) -> None:
    """Draws a panel a metric that was both measured and predicted, its points coloured by GPU."""
    from tuner.simulator.fidelity.compare import pairs_by_group
    from tuner.simulator.fidelity.plot import Panel, scatter_plot

    metrics = [entry.metric for entry in report.overall[report.shown]]
    panels = [
        Panel(
            report.heading(metric),
            pairs_by_group(results, metric, report.grouping_of_plot, report.variant, _MOST_GROUPS),
            report.goals.get(metric),
        )
        for metric in metrics
    ]
    title = f"{report.table.name}: predicted ({report.shown}) against measured"
    path.write_text(scatter_plot(panels, title), encoding="utf-8")
