"""From samples to what is said about a window; no clock and no device here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from tuner.power.energy import (
    WANTED_ERROR,
    Condition,
    DeviceReport,
    EnergySource,
    Idle,
    Method,
    PowerReport,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """All devices at a moment of the clock (s), and the host's energy since some moment (J)."""

    moment: float
    conditions: Mapping[str, Condition]
    host_joules: float | None = None


def report_of(
    source: EnergySource,
    idle: Idle | None,
    samples: Sequence[Sample],
    seconds: float,
    joules: float | None,
    problem: str | None,
) -> PowerReport:
    """The report of a window of `seconds` in which the source's devices used `joules`."""
    tick = source.tick_seconds if idle is None or idle.tick_seconds is None else idle.tick_seconds
    average = None if joules is None or seconds <= 0 else joules / seconds
    peak = _highest(_total_watts(samples))
    bound = _error_bound(tick, seconds, average, peak) if source.method is Method.COUNTER else None
    host_watts = _growth(samples, lambda sample: sample.host_joules)
    return PowerReport(
        method=source.method,
        seconds=seconds,
        joules=joules,
        average_watts=average,
        peak_watts=peak,
        idle_watts=None if idle is None else idle.total_watts,
        tick_seconds=tick,
        error_bound=bound,
        seconds_needed=None if bound is None or bound <= WANTED_ERROR else seconds * bound / WANTED_ERROR,
        samples=len(samples),
        devices={name: _device(name, samples, idle) for name in (samples[0].conditions if samples else {})},
        host_joules=None if host_watts is None else host_watts * seconds,
        host_watts=host_watts,
        problem=problem if joules is None else None,
    )


def _error_bound(tick: float, seconds: float, average: float | None, peak: float | None) -> float | None:
    """What the counter may be behind at one end of the window, as a share of its energy.

    A counter that moves every `tick` is behind by up to that time at the highest power; at both ends, so the
    difference is off by no more than the one.
    """
    if not average or seconds <= 0:
        return None
    return tick * max(peak or average, average) / (average * seconds)


def _device(name: str, samples: Sequence[Sample], idle: Idle | None) -> DeviceReport:
    seen = [sample.conditions[name] for sample in samples]
    reasons = {reason for one in seen for reason in one.throttled}
    watts = [one.watts for one in seen if one.watts is not None]
    temperatures = [one.temperature_celsius for one in seen if one.temperature_celsius is not None]
    return DeviceReport(
        average_watts=_growth(samples, lambda sample: sample.conditions[name].joules),
        peak_watts=_highest(watts),
        idle_watts=None if idle is None else idle.watts.get(name),
        sm_clock_mhz=_mean([one.sm_clock_mhz for one in seen]),
        memory_clock_mhz=_mean([one.memory_clock_mhz for one in seen]),
        temperature_celsius=max(temperatures, default=None),
        throttled={
            reason.value: sum(reason in one.throttled for one in seen) / len(seen) for reason in sorted(reasons)
        },
    )


def _total_watts(samples: Sequence[Sample]) -> list[float]:
    """Power of all devices together at each sample, or between samples where they tell their energy alone."""
    totals = [_sum([one.watts for one in sample.conditions.values()]) for sample in samples]
    if any(total is not None for total in totals):
        return [total for total in totals if total is not None]
    joules = [(sample.moment, _sum([one.joules for one in sample.conditions.values()])) for sample in samples]
    return [
        (more - less) / (later - earlier)
        for (earlier, less), (later, more) in pairwise(joules)
        if less is not None and more is not None and later > earlier
    ]


def _growth(samples: Sequence[Sample], value: Callable[[Sample], float | None]) -> float | None:
    """How fast a counter grew from the first sample to the last, per second."""
    known = [(sample.moment, found) for sample in samples if (found := value(sample)) is not None]
    if len(known) < 2 or known[-1][0] <= known[0][0]:
        return None
    return (known[-1][1] - known[0][1]) / (known[-1][0] - known[0][0])


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _highest(values: Sequence[float]) -> float | None:
    return max(values, default=None)
