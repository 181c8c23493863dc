"""What a study is made of: its progress, its result, and who listens to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tuner.configuration import Configuration
from tuner.metrics import Provenance
from tuner.trial import Interval, Trial


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is; `eta_seconds` and `hypervolume` are `None` while unknown."""

    evaluated: int
    planned: int
    frontier_size: int
    hypervolume: float | None
    eta_seconds: float | None


@dataclass(frozen=True, slots=True)
class Baseline:
    """The default configuration of the engine that the savings are counted against.

    `meets_constraints` is false when no load lets the default meet the job's limits.
    """

    configuration: Configuration
    metrics: Mapping[str, float]
    provenance: Mapping[str, Provenance]
    meets_constraints: bool


@dataclass(frozen=True, slots=True)
class ConstraintMiss:
    """How one constraint fared: trials it excludes, and the nearest miss of those (figure and trial number)."""

    metric: str
    bound: float
    excluded: int
    nearest_value: float
    nearest_trial: int


@dataclass(frozen=True, slots=True)
class PredictedRow:
    """What is expected of a configuration that was not measured: simulated figures, the same calibrated by what was.

    `intervals` hold the calibrated figures with 90 % probability; `chance_feasible` is that of running and keeping
    every limit (0 to 1).
    """

    configuration: Configuration
    simulated: Mapping[str, float]
    calibrated: Mapping[str, float]
    intervals: Mapping[str, Interval]
    chance_feasible: float


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How wrong predictions of a metric were over the measurements made: median of |predicted / measured - 1|.

    `simulated_bias` is the geometric mean of simulated over measured, less 1; `calibrated_error` is that of the
    predictions made just before each measurement.
    """

    metric: str
    measurements: int
    simulated_error: float | None
    simulated_bias: float | None
    calibrated_error: float | None


@dataclass(frozen=True, slots=True)
class Drift:
    """What a metric of the reference configuration was before the series and after it; `beyond_noise`: a real change."""

    metric: str
    before: float
    after: float
    beyond_noise: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search that chooses its measurements says beside them. `stopped`: why it ended.

    `lessons`: measurements of earlier jobs that it started from (count).
    """

    stopped: str | None = None
    lessons: int = 0
    accuracy: tuple[Accuracy, ...] = ()
    predictions: tuple[PredictedRow, ...] = ()
    drift: tuple[Drift, ...] = ()


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What a finished (or cancelled) study found; `frontier` holds trial numbers, in order."""

    space_size: int
    evaluated: int
    feasible: int
    failed: int
    wall_seconds: float
    sampler: str
    hypervolume: float | None
    frontier: tuple[int, ...]
    baseline: Baseline | None
    misses: tuple[ConstraintMiss, ...]
    cancelled: bool
    findings: Findings = Findings()


class StudyListener(Protocol):
    """Where a study reports; every call may raise, which ends the study."""

    def started(self, space_size: int, sampler: str, baseline: Baseline | None) -> None:
        """The space is known and the default configuration was evaluated."""

    def trials(self, batch: Sequence[Trial], progress: Progress, frontier: Sequence[int]) -> None:
        """A batch of finished trials, what the study stands at with them, and the frontier's trial numbers.

        A trial that was screened comes a second time, with the same number, when it is simulated in depth.
        """

    def doing(self, words: str | None) -> None:
        """What the measurements in flight are at, in a few words, as it changes."""

    def cancelled(self) -> bool:
        """Whether the study must stop; asked at least twice a second."""
