"""The routes of jobs."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response, status
from fastapi.concurrency import run_in_threadpool
from pydantic import JsonValue, TypeAdapter

from service import body
from service.database.models import JobState
from service.dependencies import DatabaseDep, Now
from service.jobs import lifecycle
from service.jobs.schemas import JobPage, JobView, job_path
from service.openapi import SPEC_BODY
from service.paging import decode_cursor, encode_cursor
from service.problems import problem_responses
from service.settings import Settings
from tuner.errors import SpecError
from tuner.spec import JobSpec, parse_spec

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_POSITION: Final[TypeAdapter[lifecycle.Position]] = TypeAdapter(tuple[datetime, str])


async def _sent_spec(request: Request) -> JobSpec:
    sent = await request.body()
    data = await run_in_threadpool(body.read_data, sent, request.headers.get("content-type"))
    return await run_in_threadpool(parse_spec, data)


def _planner(request: Request) -> lifecycle.Planner:
    """Counts what a job will evaluate; raises `SpecError` for a job that cannot be done, or not from outside."""
    settings: Settings = request.app.state.settings

    def plan(spec: JobSpec) -> int:
        from tuner.space.choice import choices_of

        if spec.command is not None and not settings.allow_commands:
            raise SpecError.of("command", "is off in this service; its operator may set PARETUNE_ALLOW_COMMANDS=true")
        return len(choices_of(spec))

    return plan


PlannerDep = Annotated[lifecycle.Planner, Depends(_planner)]


@router.post(
    "",
    summary="Submit a tuning job",
    status_code=status.HTTP_201_CREATED,
    response_description="The job, queued; `Location` is its path",
    responses=problem_responses(413, 415, 422, 503),
    openapi_extra={"requestBody": SPEC_BODY},
)
def submit(
    spec: Annotated[JobSpec, Depends(_sent_spec)],
    plan: PlannerDep,
    database: DatabaseDep,
    now: Now,
    response: Response,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=255, description="the same key and body give the same job")
    ] = None,
) -> JobView:
    """Queues a job. With an `Idempotency-Key` a retry of the same spec gives the job of the first call."""
    submission = lifecycle.submit(database, spec, plan, now, idempotency_key)
    response.headers["Location"] = job_path(submission.job.id)
    if submission.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return JobView.of(submission.job)


@router.get("", summary="List jobs, newest first", responses=problem_responses(422, 503))
def list_jobs(
    database: DatabaseDep,
    state: Annotated[JobState | None, Query(description="only jobs in this state")] = None,
    model: Annotated[str | None, Query(description="only jobs for this model")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> JobPage:
    """One page of jobs; pass `next_cursor` as `cursor` for the next."""
    after = decode_cursor(cursor, _POSITION)
    jobs = lifecycle.page(database, state, model, after, limit + 1)
    more = len(jobs) > limit
    last = jobs[limit - 1] if more else None
    return JobPage(
        items=[JobView.of(job) for job in jobs[:limit]],
        next_cursor=encode_cursor([last.created_at, last.id]) if last else None,
    )


@router.get("/{job_id}", summary="Look at a job", responses=problem_responses(404, 503))
def get_job(job_id: str, database: DatabaseDep) -> JobView:
    """State, progress, timings, and what the search found or why it failed."""
    return JobView.of(lifecycle.get(database, job_id))


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a queued or running job",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(404, 409, 503),
)
def cancel_job(job_id: str, database: DatabaseDep, now: Now) -> JobView:
    """A queued job is cancelled at once; a running one stops within a second and keeps its trials."""
    return JobView.of(lifecycle.cancel(database, job_id, now))


@router.post(
    "/{job_id}/retune",
    summary="Tune again from what a job learned",
    status_code=status.HTTP_201_CREATED,
    response_description="The new job, queued; `Location` is its path",
    responses=problem_responses(404, 422, 503),
)
def retune(
    job_id: str,
    plan: PlannerDep,
    database: DatabaseDep,
    now: Now,
    response: Response,
    changes: Annotated[
        dict[str, JsonValue] | None,
        Body(
            description="merged into the job's spec (JSON merge patch)",
            examples=[{"workload": {"output_tokens": 512}, "budget": {"trials": 16}}],
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=255, description="the same key and body give the same job")
    ] = None,
) -> JobView:
    """Queues a new job with the spec of this one, changed where the body says so; it starts from what is known."""
    spec = lifecycle.retuned_spec(database, job_id, changes or {})
    submission = lifecycle.submit(database, spec, plan, now, idempotency_key, parent_id=job_id)
    response.headers["Location"] = job_path(submission.job.id)
    if submission.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return JobView.of(submission.job)


@router.delete(
    "/{job_id}",
    summary="Delete a finished job",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(404, 409, 503),
)
def delete_job(job_id: str, database: DatabaseDep) -> JobView:
    """Removes the job with its trials and answers with the job as it was; cancel queued and running jobs first."""
    return JobView.of(lifecycle.delete(database, job_id))
