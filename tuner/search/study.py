"""What a study is made of: its progress, its result, and who listens to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tuner.configuration import Configuration
from tuner.metrics import Provenance
from tuner.trial import Trial


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
class StudyResult:
    """What a finished (or cancelled) study found; `frontier` holds trial numbers, in order.

    `stopped` says why a search that chooses its measurements ended.
    """

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
    stopped: str | None = None


class StudyListener(Protocol):
    """Where a study reports; every call may raise, which ends the study."""

    def started(self, space_size: int, sampler: str, baseline: Baseline | None) -> None:
        """The space is known and the default configuration was evaluated."""

    def trials(self, batch: Sequence[Trial], progress: Progress, frontier: Sequence[int]) -> None:
        """A batch of finished trials, what the study stands at with them, and the frontier's trial numbers.

        A trial that was screened comes a second time, with the same number, when it is simulated in depth.
        """

    def cancelled(self) -> bool:
        """Whether the study must stop; asked at least twice a second."""
