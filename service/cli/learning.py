"""What a measuring job says of its search: why it ended, how wrong the simulator was, and its picks side by side."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from service.cli.figures import heading, metric_of, sensible, span
from service.cli.results import Results
from service.client.answers import AccuracyAnswer, DriftAnswer, TrialAnswer

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN: Final = ("tpot_mean_ms", "ttft_mean_ms", "output_tokens_per_second_per_gpu", "power_watts_per_gpu")
"""Metrics whose error is told, where they are known: those that the others follow from by arithmetic."""


def search_lines(search: Mapping[str, object]) -> list[str]:
    """Why the search ended, what it started from, and how wrong the predictions were on this machine."""
    stopped, lessons = search.get("stopped"), search.get("lessons")
    lines = [f"Stopped: {stopped}."] if stopped else []
    if lessons:
        lines.append(f"Started from {lessons} measurements of earlier jobs on such machines.")
    lines += [_accuracy_line(item) for item in _accuracy(search) if item["metric"] in _SHOWN]
    drift: list[DriftAnswer] = search.get("drift") or []  # type: ignore[assignment]
    return lines + [_drift_line(item) for item in drift if item["beyond_noise"]]


def side_by_side(picks: Mapping[str, TrialAnswer], objectives: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of a table with the simulated, the predicted and the measured figures of each pick.

    Empty rows where no pick was measured after a prediction.
    """
    metrics = [metric for metric in map(metric_of, objectives) if any(_foreseen(t, metric) for t in picks.values())]
    metrics += [metric for metric in _SHOWN[:2] if metric not in metrics]
    metrics = [metric for metric in metrics if any(_foreseen(trial, metric) for trial in picks.values())]
    head = ["pick (trial)", "figures", *(heading(metric).replace("\n", " ") for metric in metrics)]
    rows = []
    for number, trial in {trial["number"]: trial for trial in picks.values()}.items():
        if not any(_foreseen(trial, metric) for metric in metrics):
            continue
        names = ", ".join(name for name, pick in picks.items() if pick["number"] == number)
        rows.append([f"{names} ({number})", "simulated", *(_simulated(trial, metric) for metric in metrics)])
        rows.append(["", "calibrated before", *(_predicted(trial, metric) for metric in metrics)])
        rows.append(["", "measured", *(_measured(trial, metric) for metric in metrics)])
    return head, rows


def show_learning(console: "Console", results: Results) -> None:
    """Prints the above; nothing for a job that only simulates."""
    from rich import box
    from rich.table import Table

    head, rows = side_by_side(results.picks, results.frontier["objectives"])
    if rows:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
        for place, name in enumerate(head):
            table.add_column(name, justify="left" if place < 2 else "right", overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print("Simulated, calibrated, measured", style="bold")
        console.print(table)
        console.print()
    for line in search_lines(results.job["search"] or {}):
        console.print(line)


def _accuracy(search: Mapping[str, object]) -> list[AccuracyAnswer]:
    return search.get("accuracy") or []  # type: ignore[return-value]


def _accuracy_line(found: AccuracyAnswer) -> str:
    name, count = heading(found["metric"]).replace("\n", " "), found["measurements"]
    parts = []
    error, bias = found["simulated_error"], found["simulated_bias"]
    if error is not None and bias is not None:
        side = "high" if bias > 0 else "low"
        parts.append(f"simulated off by {error:.0%} (median; {abs(bias):.0%} too {side} on average)")
    if found["calibrated_error"] is not None:
        parts.append(f"predicted before each measurement off by {found['calibrated_error']:.0%}")
    return f"{name} over {count} measurements: " + ", ".join(parts or ["no prediction"]) + "."


def _drift_line(found: DriftAnswer) -> str:
    change = found["after"] / found["before"] - 1 if found["before"] else 0.0
    return (
        f"Drift: {heading(found['metric']).replace(chr(10), ' ')} of the reference configuration changed by "
        f"{change:+.1%} during the series, beyond the noise; figures measured late and early do not compare."
    )


def _foreseen(trial: TrialAnswer, metric: str) -> bool:
    reason = trial.get("reason") or {}
    return metric in reason.get("predicted", {})


def _simulated(trial: TrialAnswer, metric: str) -> str:
    reason = trial.get("reason") or {}
    return sensible(reason.get("simulated", {}).get(metric))


def _predicted(trial: TrialAnswer, metric: str) -> str:
    reason = trial.get("reason") or {}
    found = reason.get("predicted", {}).get(metric)
    return sensible(found["value"]) + span((found["low"], found["high"])) if found else "–"


def _measured(trial: TrialAnswer, metric: str) -> str:
    return sensible(trial["metrics"].get(metric)) + span((trial.get("intervals") or {}).get(metric))
