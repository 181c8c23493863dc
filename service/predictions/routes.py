"""The route of predictions."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from pydantic import TypeAdapter

from service.dependencies import DatabaseDep
from service.jobs import lifecycle as jobs
from service.paging import decode_cursor, encode_cursor
from service.predictions import store
from service.predictions.schemas import PredictionPage, PredictionView
from service.problems import problem_responses

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

_POSITION: Final[TypeAdapter[int]] = TypeAdapter(Annotated[int, Path(ge=0, le=2**31 - 1)])


@router.get("/predictions", summary="What is expected of the rest", responses=problem_responses(404, 422, 503))
def list_predictions(
    job_id: str,
    database: DatabaseDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> PredictionPage:
    """Calibrated predictions of what a finished job did not measure; none for a job that only simulates."""
    jobs.get(database, job_id)
    after = decode_cursor(cursor, _POSITION)
    with database.read() as session:
        found = [PredictionView.model_validate(row) for row in store.page(session, job_id, after, limit + 1)]
    more = len(found) > limit
    return PredictionPage(items=found[:limit], next_cursor=encode_cursor(found[limit - 1].place) if more else None)
