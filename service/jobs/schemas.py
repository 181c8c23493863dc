"""What the API says of a job."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer, WithJsonSchema

from service.database.models import JobRow, JobState
from tuner.search.study import StudyResult


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[
    datetime, PlainSerializer(_iso, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]


class ProgressView(BaseModel):
    """How far a job is; `hypervolume` and `eta_seconds` are null while unknown, `activity` where nothing is measured."""

    evaluated: int = Field(examples=[1200])
    planned: int = Field(examples=[2880])
    frontier_size: int = Field(examples=[41])
    hypervolume: float | None = Field(examples=[0.83], description="share of the box around the baseline, 0 to 1")
    eta_seconds: float | None = Field(examples=[2.5])
    activity: str | None = Field(examples=["measuring"], description="what the measurements in flight are at")


class AccuracyView(BaseModel):
    """How wrong predictions of a metric were over the measurements made: median of |predicted / measured - 1|."""

    model_config = ConfigDict(from_attributes=True)

    metric: str = Field(examples=["tpot_mean_ms"])
    measurements: int
    simulated_error: float | None = Field(examples=[0.17])
    simulated_bias: float | None = Field(examples=[-0.08], description="geometric mean of simulated / measured, less 1")
    calibrated_error: float | None = Field(
        examples=[0.05], description="of the prediction just before each measurement"
    )


class DriftView(BaseModel):
    """What a metric of the reference configuration was before the series and after it."""

    model_config = ConfigDict(from_attributes=True)

    metric: str
    before: float
    after: float
    beyond_noise: bool = Field(description="the change is larger than the confidence intervals allow")


class SearchView(BaseModel):
    """What a finished search did; the section `search` of result.json."""

    space_size: int
    evaluated: int
    feasible: int
    failed: int
    wall_seconds: float
    sampler: str = Field(examples=["exhaustive"])
    hypervolume: float | None
    stopped: str | None = Field(default=None, description="why a search that chooses its measurements ended")
    lessons: int = Field(default=0, description="measurements of earlier jobs that it started from")
    accuracy: list[AccuracyView] = Field(default=[], description="how wrong predictions were on this machine")
    drift: list[DriftView] = Field(default=[], description="the reference configuration before and after the series")

    @classmethod
    def of(cls, result: StudyResult) -> Self:
        """The view of a study's result."""
        found = result.findings
        return cls(
            space_size=result.space_size,
            evaluated=result.evaluated,
            feasible=result.feasible,
            failed=result.failed,
            wall_seconds=result.wall_seconds,
            sampler=result.sampler,
            hypervolume=result.hypervolume,
            stopped=found.stopped,
            lessons=found.lessons,
            accuracy=[AccuracyView.model_validate(item) for item in found.accuracy],
            drift=[DriftView.model_validate(item) for item in found.drift],
        )


class BaselineView(BaseModel):
    """The engine's default configuration, which savings are counted against."""

    configuration: dict[str, JsonValue]
    metrics: dict[str, float]
    provenance: dict[str, str]
    meets_constraints: bool


class MissView(BaseModel):
    """How one constraint fared: trials it excludes, and the nearest miss of those."""

    metric: str = Field(examples=["ttft_p95_ms"])
    bound: float
    excluded: int
    nearest_value: float
    nearest_trial: int


class FailureView(BaseModel):
    """Why a job or a trial failed; `kind` is one of the contract's for trials, and a word of ours for jobs."""

    kind: str | None = None
    detail: str


class Links(BaseModel):
    """Where the parts of a job are."""

    self: str
    trials: str
    frontier: str
    recommendations: str
    predictions: str
    exports: str = Field(description="put a format at `{format}`")
    cancel: str
    retune: str


class JobView(BaseModel):
    """One tuning request and where it stands."""

    id: str = Field(examples=["3f1c9a5be07d4c21"])
    parent_id: str | None = Field(description="the job that this one tunes again")
    name: str | None
    state: JobState
    cancel_requested: bool = Field(description="a running job was asked to stop")
    spec: dict[str, JsonValue]
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    progress: ProgressView
    search: SearchView | None
    baseline: BaselineView | None
    misses: list[MissView]
    failure: FailureView | None
    links: Links

    @classmethod
    def of(cls, job: JobRow) -> Self:
        """The view of a stored job."""
        return cls.model_validate(
            {
                "id": job.id,
                "parent_id": job.parent_id,
                "name": job.name,
                "state": job.state,
                "cancel_requested": job.cancel_requested,
                "spec": job.spec,
                "created_at": job.created_at,
                "started_at": job.started_at,
                "finished_at": job.finished_at,
                "progress": {
                    "evaluated": job.evaluated,
                    "planned": job.planned,
                    "frontier_size": len(job.frontier),
                    "hypervolume": job.hypervolume,
                    "eta_seconds": job.eta_seconds,
                    "activity": job.activity,
                },
                "search": job.search,
                "baseline": job.baseline,
                "misses": job.misses,
                "failure": job.failure,
                "links": _links(job.id),
            }
        )


class JobPage(BaseModel):
    """Jobs, newest first; `next_cursor` is null on the last page."""

    items: list[JobView]
    next_cursor: str | None


def job_path(job_id: str) -> str:
    """The path of a job."""
    return f"/v1/jobs/{job_id}"


def _links(job_id: str) -> Links:
    path = job_path(job_id)
    return Links(
        self=path,
        trials=f"{path}/trials",
        frontier=f"{path}/frontier",
        recommendations=f"{path}/recommendations",
        predictions=f"{path}/predictions",
        exports=f"{path}/exports/{{format}}",
        cancel=f"{path}/cancel",
        retune=f"{path}/retune",
    )
