"""What a load that is over comes to: its result, or the reason why it has none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tuner.load.arrivals import Closed
from tuner.load.columns import Served
from tuner.load.errors import BrokenLoadError, OverloadError, SlowClientError
from tuner.load.lateness import Lateness, LoopWatch, limit_of
from tuner.load.plan import OUTPUT_RATE, Plan
from tuner.load.probe import Probed
from tuner.load.records import RequestRecord
from tuner.load.result import Counts, LoadResult, Spoken
from tuner.load.statistics import relative_half_width
from tuner.load.steady import count_errors, falls_behind, transient_windows
from tuner.load.summary import Figures, summarise
from tuner.load.tokens import output_between
from tuner.load.traffic import Traffic
from tuner.load.windows import Window, joined
from tuner.metrics import METRICS


@dataclass(frozen=True, slots=True)
class Ended:
    """A load that is over: what was sent and what came, in which windows, by what rules; moments in seconds."""

    traffic: Traffic
    probed: Probed
    windows: Sequence[Window]
    plan: Plan
    loop_watch: LoopWatch
    start: float
    end: float
    was_warm: bool


def conclude(ended: Ended, started_at: float) -> LoadResult:
    """The result of a load, without its overhead.

    Raises `BrokenLoadError`, `OverloadError` and `SlowClientError` where there is none.
    """
    traffic, plan = ended.traffic, ended.plan
    if traffic.failed > plan.failed_share * (traffic.failed + traffic.whole):
        raise broken(traffic)
    windows = _steady(traffic.records, ended.windows)
    window = joined(windows)
    served = traffic.columns.served()
    inside = served.between(window.start.moment, window.end.moment)
    _check_carried(ended, window, len(inside))
    figures = summarise(traffic.records, served, windows, plan, traffic.load.arrivals)
    lateness = _lateness(ended, window)
    reason = limit_of(lateness, figures.values.get("tpot_p50_ms"), figures.values.get("ttft_p50_ms"))
    if reason is not None:
        raise SlowClientError(
            f"the client was the limit, not the engine: {reason}; lower the load, or leave this machine to the client",
            lateness,
        )
    return LoadResult(
        metrics={key: figures.values[key] for key in METRICS if key in figures.values},
        intervals={key: figures.intervals[key] for key in METRICS if key in figures.intervals},
        output_tokens_per_second=figures.values[OUTPUT_RATE],
        windows=tuple(windows),
        counts=_counts(traffic, inside),
        errors=count_errors(traffic.records),
        lateness=lateness,
        spoken=_spoken(ended.probed),
        is_exact=_is_exact(figures, plan),
        was_warm=ended.was_warm,
        drift=_drift(traffic.records, window),
        started_at=started_at,
        warm_up_seconds=window.start.moment - ended.start,
        load_seconds=ended.end - ended.start,
        overhead_seconds=0.0,
    )


def broken(traffic: Traffic) -> BrokenLoadError:
    """The error of a load of which too much failed: how many, how, and how the first one did."""
    errors = count_errors(traffic.records)
    first = next(record.detail for record in traffic.records if record.error is not None)
    kinds = ", ".join(f"{kind.value} {count}" for kind, count in errors.items())
    return BrokenLoadError(
        f"{traffic.failed} of {traffic.failed + traffic.whole} requests failed ({kinds}), the first because: {first}; "
        "look into the engine's log",
        errors,
        traffic.whole,
    )


def _steady(records: Sequence[RequestRecord], windows: Sequence[Window]) -> Sequence[Window]:
    """The windows without those at the start that still belonged to the warm-up."""
    edges = np.array([windows[0].start.moment, *(window.end.moment for window in windows)])
    rates = output_between(records, edges) / np.diff(edges)
    return windows[transient_windows(rates.tolist()) :]


def _check_carried(ended: Ended, window: Window, in_window: int) -> None:
    traffic, seconds = ended.traffic, ended.plan.seconds
    start, end = window.start.moment, window.end.moment
    reason = falls_behind(traffic.records, traffic.load.arrivals, start, end)
    if reason is not None:
        raise OverloadError(f"the engine does not keep up: {reason}; ask a lower rate")
    arrivals = traffic.load.arrivals
    least = arrivals.concurrency if isinstance(arrivals, Closed) and not ended.was_warm else 1
    if in_window < least:
        raise OverloadError(
            f"no steady window within {seconds:.0f} s: {in_window} requests ended in the last {window.seconds:.0f} s; "
            "give more time or ask shorter outputs"
        )


def _lateness(ended: Ended, window: Window) -> Lateness:
    start, end = window.start.moment, window.end.moment
    delays = [record.begun - record.scheduled for record in ended.traffic.records if start <= record.scheduled <= end]
    return ended.loop_watch.lateness(start, end, delays)


def _counts(traffic: Traffic, inside: Served) -> Counts:
    cached = [record.cached_tokens for record in traffic.records if record.cached_tokens is not None]
    return Counts(
        whole=traffic.whole,
        failed=traffic.failed,
        cut=len(traffic.records) - traffic.whole - traffic.failed,
        in_window=len(inside),
        input_tokens=int(inside.input_tokens.sum()),
        output_tokens=int(inside.output_tokens.sum()),
        cached_tokens=sum(cached) if cached else None,
    )


def _spoken(probed: Probed) -> Spoken:
    return Spoken(
        prompt=probed.prompts.kind.value,
        added_tokens=probed.prompts.overhead,
        dropped_fields=probed.dropped_fields,
        exact_output=probed.dialect.is_exact,
        counts_chunks=probed.counts_chunks,
    )


def _is_exact(figures: Figures, plan: Plan) -> bool:
    """Whether every wanted metric that this load can have is as exact as asked."""
    known = [key for key in plan.wanted if key in figures.values]
    widths = [relative_half_width(figures.intervals.get(key), figures.values[key]) for key in known]
    return bool(known) and all(width is not None and width <= plan.precision for width in widths)


def _drift(records: Sequence[RequestRecord], window: Window) -> float:
    edges = np.linspace(window.start.moment, window.end.moment, 3)
    first, second = output_between(records, edges)
    return float(second / first - 1.0) if first else 0.0


def with_overhead(result: LoadResult, seconds: float) -> LoadResult:
    """The result with the seconds that were spent beside the load."""
    return replace(result, overhead_seconds=seconds)
