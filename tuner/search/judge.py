"""What a job makes of an evaluation: complete, infeasible or failed, and how the constraints fared."""

from collections.abc import Mapping, Sequence
from typing import Final

from tuner.configuration import Configuration
from tuner.metrics import METRICS, STATISTICS, Direction, Objective
from tuner.search.study import ConstraintMiss
from tuner.trial import Failure, FailureKind, Measurement, Trial, TrialState

SCREENING_SLACK: Final = 1.3
"""Factor beyond a bound up to which the closed formula's figure does not rule a trial out (its TPOT errs by a fifth)."""


class Judge:
    """Turns evaluations into trials by the job's constraints, and remembers what the constraints excluded."""

    def __init__(self, constraints: Mapping[str, float], objectives: Sequence[Objective]) -> None:
        self._constraints = constraints
        self._objectives = objectives
        self._violations: dict[int, Mapping[str, float]] = {}

    def hopeless(self, measurement: Measurement) -> bool:
        """Whether screening alone rules an evaluation out: failed, or further beyond a bound than the formula errs."""
        if measurement.failure is not None or self._unknown_objective(measurement) is not None:
            return True
        generous = {
            key: bound / SCREENING_SLACK if METRICS[key].direction is Direction.MAXIMISE else bound * SCREENING_SLACK
            for key, bound in self._constraints.items()
        }
        return bool(violations(measurement.metrics, _screened_constraints(generous)))

    def trial(
        self, number: int, configuration: Configuration, measurement: Measurement, *, screened: bool = False
    ) -> Trial:
        """The trial of an evaluation; a later one of the same number takes its place.

        A configuration without every objective's figure has failed as unsupported.
        """
        self._violations.pop(number, None)
        failure = measurement.failure or self._unknown_objective(measurement)
        if failure is not None:
            return Trial(number, configuration, TrialState.FAILED, failure=failure, screened=screened)
        constraints = _screened_constraints(self._constraints) if screened else self._constraints
        violated = violations(measurement.metrics, constraints)
        if violated:
            self._violations[number] = violated
        return Trial(
            number,
            configuration,
            TrialState.INFEASIBLE if violated else TrialState.COMPLETE,
            measurement.metrics,
            measurement.provenance,
            screened=screened,
            measured_share=measurement.measured_share,
        )

    def misses(self) -> tuple[ConstraintMiss, ...]:
        """Every constraint that excludes a trial, the one that excludes most first."""
        found = [miss for metric in self._constraints if (miss := self._miss(metric)) is not None]
        return tuple(sorted(found, key=lambda miss: -miss.excluded))

    def _miss(self, metric: str) -> ConstraintMiss | None:
        bound = self._constraints[metric]
        values = [(found[metric], number) for number, found in self._violations.items() if metric in found]
        if not values:
            return None
        nearest, trial = min(values, key=lambda known: (_excess(metric, known[0], bound), known[1]))
        return ConstraintMiss(metric, bound, len(values), nearest, trial)

    def _unknown_objective(self, measurement: Measurement) -> Failure | None:
        missing = [objective.metric for objective in self._objectives if objective.metric not in measurement.metrics]
        if not missing:
            return None
        return Failure(FailureKind.UNSUPPORTED, f"{missing[0]} is not known for this configuration")


def violations(metrics: Mapping[str, float], constraints: Mapping[str, float]) -> dict[str, float]:
    """The figures that break their constraint: above a bound to stay under, or below one to reach.

    A high percentile that is not known is held against the mean of the same latency, which it is not below. A
    constraint on a figure that is not known at all is neither kept nor broken.
    """
    found = {}
    for key, bound in constraints.items():
        value = metrics.get(key, metrics.get(_floor(key)))
        if value is not None and _excess(key, value, bound) > 0:
            found[key] = value
    return found


def _screened_constraints(constraints: Mapping[str, float]) -> dict[str, float]:
    """The constraints that the closed formula may judge.

    Its TTFT carries the queue of a burst, which a steady load does not have, and its request latency carries that.
    """
    return {key: bound for key, bound in constraints.items() if not key.startswith(("ttft_", "request_latency_"))}


def _floor(metric: str) -> str:
    """The metric that a high percentile is not below: the mean of the same latency; any other is its own."""
    latency, _, statistic = metric.removesuffix("_ms").rpartition("_")
    return f"{latency}_mean_ms" if metric.endswith("_ms") and statistic in STATISTICS[2:] else metric


def _excess(metric: str, value: float, bound: float) -> float:
    """How far a figure is on the wrong side of its bound (in the metric's unit; negative on the right side)."""
    return bound - value if METRICS[metric].direction is Direction.MAXIMISE else value - bound
