"""What the API says of trials, the frontier and the recommendations."""

from collections.abc import Sequence
from typing import Self, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.jobs.schemas import FailureView
from tuner.economics.cost import CostBreakdown
from tuner.metrics import Objective, Provenance
from tuner.trial import Trial, TrialState


class TrialView(BaseModel):
    """One configuration evaluated once; a metric that is not known is absent."""

    number: int = Field(examples=[18])
    state: TrialState
    configuration: dict[str, JsonValue] = Field(
        examples=[{"engine": "tensorrt-llm", "gpu": "h100_sxm", "tensor_parallel": 2, "concurrency": 64}]
    )
    metrics: dict[str, float] = Field(examples=[{"cost_usd_per_million_output_tokens": 0.11, "tpot_mean_ms": 9.8}])
    provenance: dict[str, Provenance] = Field(examples=[{"tpot_mean_ms": "simulated"}])
    objectives: dict[Objective, float] = Field(examples=[{"cost": 0.11, "energy": 0.42, "tpot": 9.8}])
    failure: FailureView | None = None
    screened: bool = Field(default=False, description="means of the closed formula only: clearly behind the frontier")
    measured_share: float | None = Field(
        default=None,
        description="of a simulated trial: share of its step time that rests on measured kernels",
        examples=[0.93],
    )
    reason: dict[str, JsonValue] | None = Field(
        default=None,
        description="why the search chose it: rule, predicted metrics with intervals, expected gain, chances",
    )
    intervals: dict[str, tuple[float, float]] = Field(
        default={}, description="95 % confidence intervals of measured figures"
    )
    details: dict[str, JsonValue] | None = Field(
        default=None, description="how it was measured: machine, engine, times, requests, repeats"
    )
    log_tail: str | None = Field(default=None, description="last lines of the engine's log")

    @classmethod
    def of(cls, trial: Trial, objectives: Sequence[Objective]) -> Self:
        """The view of a trial of a job with these objectives."""
        metrics = dict(trial.metrics)
        return cls(
            number=trial.number,
            state=trial.state,
            configuration=dict(trial.configuration.to_dict()),
            metrics=metrics,
            provenance=dict(trial.provenance),
            objectives={goal: metrics[goal.metric] for goal in objectives if goal.metric in metrics},
            failure=FailureView(kind=trial.failure.kind.value, detail=trial.failure.detail) if trial.failure else None,
            screened=trial.screened,
            measured_share=trial.measured_share,
            reason=None if trial.reason is None else cast(dict[str, JsonValue], dict(trial.reason)),
            intervals=dict(trial.intervals),
            details=None if trial.details is None else cast(dict[str, JsonValue], dict(trial.details)),
            log_tail=trial.log_tail,
        )


class CostLine(BaseModel):
    """One line of the arithmetic of cost, per GPU."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["GPU-hour"])
    amount: float = Field(examples=[1.55])
    unit: str = Field(examples=["$/hour"])
    formula: str = Field(examples=["price table, neocloud"])


class CostBreakdownView(BaseModel):
    """What a million tokens cost and how that came about; `energy_share` is electricity over the whole cost."""

    cost_usd_per_million_output_tokens: float
    cost_usd_per_million_tokens: float
    energy_share: float | None
    lines: list[CostLine]


class TrialDetail(TrialView):
    """One trial with the arithmetic of its cost, where that is known."""

    cost_breakdown: CostBreakdownView | None = None

    def costing(self, breakdown: CostBreakdown | None) -> Self:
        """The same with its cost line by line."""
        view = None if breakdown is None else CostBreakdownView.model_validate(breakdown, from_attributes=True)
        return self.model_copy(update={"cost_breakdown": view})


class TrialPage(BaseModel):
    """Trials by number; `next_cursor` is null on the last page."""

    items: list[TrialView]
    next_cursor: str | None


class FrontierView(BaseModel):
    """The non-dominated feasible trials so far, by the first objective."""

    objectives: list[Objective]
    hypervolume: float | None
    points: list[TrialView]


class RecommendationsView(BaseModel):
    """Named points of the frontier; one that is not known is absent."""

    cheapest: TrialView | None = Field(default=None, description="least cost per output token")
    greenest: TrialView | None = Field(default=None, description="least energy per output token")
    fastest: TrialView | None = Field(default=None, description="least of the job's first latency objective")
    balanced: TrialView | None = Field(default=None, description="the knee of the frontier")
