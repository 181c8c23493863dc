"""One evaluated configuration: what an evaluator found, and what the job makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tuner.configuration import Configuration
from tuner.metrics import Provenance


class FailureKind(StrEnum):
    """Why a configuration gave no figures."""

    OUT_OF_MEMORY = "out_of_memory"
    START_TIMEOUT = "start_timeout"
    UNSUPPORTED = "unsupported"
    CRASHED = "crashed"
    LOAD_FAILED = "load_failed"
    TOO_SLOW = "too_slow"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed evaluation: its kind and one sentence saying why."""

    kind: FailureKind
    detail: str


Interval = tuple[float, float]
"""Lower and upper end, in the unit of the figure."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What an evaluator found of a configuration: figures by metric key with their provenance, or a failure.

    `measured_share`: of a simulated configuration, the share of its step time that rests on measured kernels (0 to 1).
    `intervals`: 95 % confidence intervals of measured figures, in their units. `details`: how it was measured (machine,
    engine, times, requests), as plain data. `log_tail`: the last lines of the engine's log.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    failure: Failure | None = None
    measured_share: float | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    details: Mapping[str, object] | None = None
    log_tail: str | None = None


class TrialState(StrEnum):
    """`infeasible`: evaluated, but breaks a constraint."""

    RUNNING = "running"
    COMPLETE = "complete"
    INFEASIBLE = "infeasible"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration evaluated once; `number` counts from 0 within its job.

    `reason` says why a sampler chose the configuration: its rule, predictions and expected gain, as plain data.
    A `screened` trial has the means of a closed formula only, which place it clearly behind the frontier.
    """

    number: int
    configuration: Configuration
    state: TrialState
    metrics: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    failure: Failure | None = None
    screened: bool = False
    measured_share: float | None = None
    reason: Mapping[str, object] | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    details: Mapping[str, object] | None = None
    log_tail: str | None = None
