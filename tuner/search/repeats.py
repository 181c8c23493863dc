"""Several measurements of one configuration as one: pooled figures, and how sure they are."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from scipy.stats import t as student

from tuner.metrics import Provenance, weakest
from tuner.trial import Failure, FailureKind, Interval, Measurement

BELIEVED_NOISE: Final = 0.02
"""Run-to-run standard deviation (log) of a steady measurement that is believed before repeats show another."""
BELIEVED_FOR: Final = 4
"""Repeats that the belief counts for."""
_CONFIDENCE: Final = 0.95


def pooled_measurement(measurements: Sequence[Measurement]) -> Measurement:
    """One measurement for all: geometric means, and 95 % intervals of the run-to-run spread from two runs on.

    Failures among others that ran are kept in the details alone. One measurement is itself; with none that ran, the
    last failure. Raises `ValueError` without any.
    """
    if not measurements:
        raise ValueError("there is nothing to pool: a trial ends with its first measurement")
    ran = [found for found in measurements if found.failure is None]
    if len(measurements) == 1 or not ran:
        return measurements[-1]
    keys = [key for key in ran[0].metrics if all(other.metrics.get(key, 0.0) > 0 for other in ran)]
    metrics = {key: math.exp(sum(math.log(found.metrics[key]) for found in ran) / len(ran)) for key in keys}
    return Measurement(
        metrics,
        {key: weakest(*(found.provenance.get(key, Provenance.MODELLED) for found in ran)) for key in keys},
        intervals={key: _interval([found.metrics[key] for found in ran]) for key in keys} if len(ran) > 1 else {},
        details={"repeats": [_plain(found) for found in measurements]},
        log_tail=measurements[-1].log_tail,
    )


def separate_measurements(pooled: Measurement) -> list[Measurement]:
    """The measurements that `pooled_measurement` put together, as far as its details keep them."""
    kept = (pooled.details or {}).get("repeats")
    if not isinstance(kept, list):
        return [pooled]
    return [_measurement(item) for item in kept if isinstance(item, Mapping)]


def _interval(values: Sequence[float]) -> Interval:
    """Student's interval of the geometric mean, its spread drawn towards the believed one while repeats are few."""
    logs = [math.log(value) for value in values]
    middle = sum(logs) / len(logs)
    freedom = BELIEVED_FOR + len(logs) - 1
    squares = BELIEVED_FOR * BELIEVED_NOISE**2 + sum((value - middle) ** 2 for value in logs)
    half = float(student.ppf((1 + _CONFIDENCE) / 2, freedom)) * math.sqrt(squares / freedom / len(logs))
    return math.exp(middle - half), math.exp(middle + half)


def _plain(found: Measurement) -> dict[str, object]:
    failure = found.failure
    return {
        "metrics": dict(found.metrics),
        "provenance": {key: source.value for key, source in found.provenance.items()},
        "intervals": {key: list(ends) for key, ends in found.intervals.items()},
        "failure": {"kind": failure.kind.value, "detail": failure.detail} if failure else None,
        "details": dict(found.details) if found.details is not None else None,
    }


def _measurement(plain: Mapping[str, object]) -> Measurement:
    metrics, provenance, failure = plain.get("metrics"), plain.get("provenance"), plain.get("failure")
    intervals, details = plain.get("intervals"), plain.get("details")
    assert isinstance(metrics, Mapping)
    assert isinstance(provenance, Mapping)
    return Measurement(
        dict(metrics),
        {key: Provenance(source) for key, source in provenance.items()},
        Failure(FailureKind(failure["kind"]), failure["detail"]) if isinstance(failure, Mapping) else None,
        intervals={key: (low, high) for key, (low, high) in intervals.items()}
        if isinstance(intervals, Mapping)
        else {},
        details=dict(details) if isinstance(details, Mapping) else None,
    )
