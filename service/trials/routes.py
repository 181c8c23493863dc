"""The routes of trials, the frontier and the recommendations."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from pydantic import TypeAdapter

from service.dependencies import DatabaseDep
from service.paging import decode_cursor, encode_cursor
from service.problems import problem_responses
from service.trials import lifecycle
from service.trials.prices import PricesDep
from service.trials.schemas import FrontierView, RecommendationsView, TrialDetail, TrialPage, TrialView
from tuner.trial import TrialState

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

_LARGEST: Final = 2**31 - 1
_POSITION: Final[TypeAdapter[int]] = TypeAdapter(Annotated[int, Path(ge=0, le=_LARGEST)])


@router.get("/trials", summary="List the trials of a job", responses=problem_responses(404, 422, 503))
def list_trials(
    job_id: str,
    database: DatabaseDep,
    state: Annotated[TrialState | None, Query(description="only trials in this state")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> TrialPage:
    """One page of trials by number; pass `next_cursor` as `cursor` for the next."""
    after = decode_cursor(cursor, _POSITION)
    objectives, trials = lifecycle.page(database, job_id, state, after, limit + 1)
    items = [TrialView.of(trial, objectives) for trial in trials[:limit]]
    more = len(trials) > limit
    return TrialPage(items=items, next_cursor=encode_cursor(items[-1].number) if more else None)


@router.get("/trials/{number}", summary="Look at a trial", responses=problem_responses(404, 422, 503))
def get_trial(job_id: str, number: Annotated[int, Path(ge=0, le=_LARGEST)], database: DatabaseDep) -> TrialDetail:
    """Configuration, metrics with their provenance, the arithmetic of its cost, failure and log tail."""
    objectives, trial = lifecycle.get(database, job_id, number)
    return TrialDetail.of(trial, objectives).costing(lifecycle.breakdown(database, job_id, number))


@router.get("/frontier", summary="The Pareto frontier of a job", responses=problem_responses(404, 422, 503))
def get_frontier(job_id: str, database: DatabaseDep, prices: PricesDep) -> FrontierView:
    """The non-dominated feasible trials, sorted by the first objective; also while the job runs.

    Prices in the query re-rank the job at once, without evaluating anything again.
    """
    found = lifecycle.frontier(database, job_id, prices)
    return FrontierView(
        objectives=list(found.objectives),
        hypervolume=found.hypervolume,
        points=[TrialView.of(point, found.objectives) for point in found.points],
    )


@router.get(
    "/recommendations",
    summary="The recommended points of a job",
    response_model_exclude_unset=True,
    responses=problem_responses(404, 422, 503),
)
def get_recommendations(job_id: str, database: DatabaseDep, prices: PricesDep) -> RecommendationsView:
    """`cheapest`, `greenest`, `fastest` and `balanced` (the knee), as far as the frontier has them.

    Prices in the query re-rank the job at once, without evaluating anything again.
    """
    objectives, found = lifecycle.recommended(database, job_id, prices)
    return RecommendationsView(**{name: TrialView.of(trial, objectives) for name, trial in found.items()})
