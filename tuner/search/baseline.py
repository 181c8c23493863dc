"""Evaluates the default deployment that a job's savings are counted against."""

from collections.abc import Callable, Sequence

from tuner.configuration import Configuration
from tuner.evaluators.pool import EvaluationPool
from tuner.frontier import objective_values
from tuner.search.judge import violations
from tuner.search.study import Baseline
from tuner.search.waiting import result_of
from tuner.space.baseline import baseline_configurations
from tuner.space.meaning import Meaning
from tuner.spec import JobSpec
from tuner.trial import Measurement

Evaluated = tuple[Configuration, Measurement]


def find_baseline(meaning: Meaning, pool: EvaluationPool, cancelled: Callable[[], bool]) -> Baseline | None:
    """The narrowest default deployment that meets the constraints, under its best load by the job's first objective.

    Where none meets them, the narrowest that runs at all, under its best load; `None` where none runs.
    """
    fallback: Baseline | None = None
    for configurations in baseline_configurations(meaning):
        known = [
            (configuration, measurement)
            for configuration, measurement in _simulated(meaning.spec, configurations, pool, cancelled)
            if objective_values(measurement.metrics, meaning.spec.objectives) is not None
        ]
        kept = [found for found in known if not violations(found[1].metrics, meaning.spec.constraints)]
        if kept:
            return _best(kept, meaning.spec, meets_constraints=True)
        if known and fallback is None:
            fallback = _best(known, meaning.spec, meets_constraints=False)
    return fallback


def _simulated(
    spec: JobSpec, configurations: Sequence[Configuration], pool: EvaluationPool, cancelled: Callable[[], bool]
) -> list[Evaluated]:
    """The configurations with their simulated figures; heavy loads, which take longest, go to every process alike."""
    parts = [configurations[start :: pool.processes] for start in range(pool.processes)]
    futures = [pool.simulate(spec, part) for part in parts]
    found: list[Evaluated] = []
    for part, future in zip(parts, futures, strict=True):
        measurements = result_of(future, cancelled)
        found += zip(part, measurements, strict=True)
    return found


def _best(known: Sequence[Evaluated], spec: JobSpec, *, meets_constraints: bool) -> Baseline:
    configuration, measurement = min(known, key=lambda found: found[1].metrics[spec.objectives[0].metric])
    return Baseline(configuration, measurement.metrics, measurement.provenance, meets_constraints)
