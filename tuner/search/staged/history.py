"""What the measuring policy was told and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tuner.metrics import METRICS, Direction
from tuner.trial import FailureKind


@dataclass(frozen=True, slots=True)
class Goal:
    """What a job asks for: metrics to minimise, and the bound of each constrained metric."""

    objectives: tuple[str, ...]
    bounds: Mapping[str, float] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that decides, objectives first."""
        return tuple(dict.fromkeys((*self.objectives, *self.bounds)))

    def keeps(self, values: Mapping[str, float]) -> bool:
        """Whether the figures meet every bound whose metric is known."""
        return all(_within(metric, values[metric], bound) for metric, bound in self.bounds.items() if metric in values)


def _within(metric: str, value: float, bound: float) -> bool:
    return value >= bound if is_floor(metric) else value <= bound


def is_floor(metric: str) -> bool:
    """Whether a bound on the metric is one to reach, not one to stay under."""
    known = METRICS.get(metric)
    return known is not None and known.direction is Direction.MAXIMISE


@dataclass(frozen=True, slots=True)
class Observation:
    """One measurement of a row of the space: its figures, or why it failed. `number` is its trial's."""

    number: int
    row: int
    values: Mapping[str, float] = field(default_factory=dict)
    failure: FailureKind | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """A metric as it is expected: median, and the ends of the interval that holds it with 90 % probability."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row is measured next.

    `expected_gain`: expected growth of the hypervolume over the hypervolume so far (log objectives), before the
    chance of being feasible. `prior_trust`: weight of the simulator in each metric's prediction (0 to 1). `rule`: what
    chose it: `improvement`, `space_filling`, `repeat`, or `confirm`.
    """

    rule: str
    predicted: Mapping[str, Prediction]
    expected_gain: float
    chance_feasible: float
    chance_runs: float
    prior_trust: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Proposal:
    """The row to measure next, and why."""

    row: int
    reason: Reason
