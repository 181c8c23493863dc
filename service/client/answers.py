"""The shapes of the API's answers, as far as the client reads them; they are the answers' JSON itself."""

from typing import Literal, NotRequired, TypedDict

from tuner.configuration import KnobValue

JobStateName = Literal["queued", "running", "succeeded", "failed", "cancelled"]
FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})

JsonData = dict[str, object]


class ProgressAnswer(TypedDict):
    """How far a job is."""

    evaluated: int
    planned: int
    frontier_size: int
    hypervolume: float | None
    eta_seconds: float | None
    activity: str | None


class BaselineAnswer(TypedDict):
    """The engine's default configuration, which savings are counted against."""

    configuration: dict[str, KnobValue]
    metrics: dict[str, float]
    provenance: dict[str, str]
    meets_constraints: bool


class MissAnswer(TypedDict):
    """How one constraint fared."""

    metric: str
    bound: float
    excluded: int
    nearest_value: float
    nearest_trial: int


class FailureAnswer(TypedDict):
    """Why a job or a trial failed."""

    kind: str | None
    detail: str


class JobAnswer(TypedDict):
    """One tuning request and where it stands."""

    id: str
    name: str | None
    state: JobStateName
    cancel_requested: bool
    spec: JsonData
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: ProgressAnswer
    search: JsonData | None
    baseline: BaselineAnswer | None
    misses: list[MissAnswer]
    failure: FailureAnswer | None


class AccuracyAnswer(TypedDict):
    """How wrong predictions of a metric were over the measurements made."""

    metric: str
    measurements: int
    simulated_error: float | None
    simulated_bias: float | None
    calibrated_error: float | None


class DriftAnswer(TypedDict):
    """What a metric of the reference configuration was before the series and after it."""

    metric: str
    before: float
    after: float
    beyond_noise: bool


class PredictedAnswer(TypedDict):
    """A predicted figure and the ends of its interval."""

    value: float
    low: float
    high: float


class ReasonAnswer(TypedDict, total=False):
    """Why a search chose a configuration."""

    rule: str
    predicted: dict[str, PredictedAnswer]
    simulated: dict[str, float]
    expected_gain: float
    chance_feasible: float


class PredictionAnswer(TypedDict):
    """What is expected of a configuration that was not measured."""

    place: int
    configuration: dict[str, KnobValue]
    simulated: dict[str, float]
    calibrated: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    chance_feasible: float


class TrialAnswer(TypedDict):
    """One configuration evaluated once."""

    number: int
    state: str
    configuration: dict[str, KnobValue]
    metrics: dict[str, float]
    provenance: dict[str, str]
    objectives: dict[str, float]
    failure: NotRequired[FailureAnswer | None]
    reason: NotRequired[ReasonAnswer | None]
    intervals: NotRequired[dict[str, tuple[float, float]]]


class FrontierAnswer(TypedDict):
    """The non-dominated feasible trials so far, by the first objective."""

    objectives: list[str]
    hypervolume: float | None
    points: list[TrialAnswer]
