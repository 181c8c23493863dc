"""What a measured load looks like: a table for people, a document for machines."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from service.cli.figures import sensible
from tuner.load.endpoint import Endpoint
from tuner.load.result import LoadResult
from tuner.load.workload import Load
from tuner.metrics import METRICS, STATISTICS

ROWS: Final = {"ttft": "TTFT", "tpot": "TPOT", "itl": "ITL", "request_latency": "latency"}


def document(endpoint: Endpoint, load: Load, result: LoadResult) -> dict[str, object]:
    """The result as plain data; a metric that is not known is absent."""
    return {
        "url": endpoint.base_url,
        "model": endpoint.model,
        "load": asdict(load),
        "metrics": dict(result.metrics),
        "intervals": {key: list(interval) for key, interval in result.intervals.items()},
        "provenance": dict.fromkeys(result.metrics, "measured"),
        "details": result.details(),
    }


def print_report(endpoint: Endpoint, result: LoadResult) -> None:
    """A table of latencies, and lines on throughput and on what the figures are worth, on standard output."""
    from rich import box
    from rich.table import Table

    from service.cli.output import stdout_console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    table.add_column("ms")
    for statistic in (*STATISTICS, "± of mean"):
        table.add_column(statistic, justify="right", no_wrap=True)
    for name, label in ROWS.items():
        if f"{name}_mean_ms" in result.metrics:
            cells = [sensible(result.metrics.get(f"{name}_{statistic}_ms")) for statistic in STATISTICS]
            table.add_row(label, *cells, _half(result, f"{name}_mean_ms"))
    console = stdout_console()
    console.print(f"{endpoint.model} at {endpoint.base_url}")
    console.print(table)
    for line in lines(result):
        console.print(line)


def lines(result: LoadResult) -> Iterator[str]:
    """Throughput, energy, and what the figures rest on."""
    yield f"output tokens per second       {sensible(result.output_tokens_per_second)}"
    for key, metric in METRICS.items():
        if key in result.metrics and not key.endswith("_ms"):
            half = _half(result, key)
            yield f"{key.replace('_', ' '):<31}{sensible(result.metrics[key])}{f' ±{half}' if half else ''} {metric.unit}"
    counts, late = result.counts, result.lateness
    yield (
        f"{counts.in_window} requests in a window of {result.window_seconds:.1f} s "
        f"after {result.warm_up_seconds:.1f} s of warm-up"
    )
    if not result.is_exact:
        yield "not as exact as asked; give it more --seconds"
    if not result.was_warm:
        yield "the warm-up was cut short: not every stream had answered once"
    if result.errors:
        yield "failed: " + ", ".join(f"{kind.value} {count}" for kind, count in result.errors.items())
    if not result.spoken.exact_output:
        yield "the engine does not take ignore_eos: outputs may be shorter than asked"
    yield (
        f"client: event loop {late.loop_lag_mean_ms:.1f} ms late, {late.loop_lag_p99_ms:.1f} ms in 1 of 100; "
        f"{late.busy_share:.0%} of a core; sends {late.send_delay_p50_ms:.1f} ms late"
    )


def _half(result: LoadResult, key: str) -> str:
    interval = result.intervals.get(key)
    if interval is None or not result.metrics[key]:
        return ""
    return f"{(interval[1] - interval[0]) / 2 / result.metrics[key]:.1%}"
