"""The routes of health, metrics and the index."""

from fastapi import APIRouter, Request, Response

from service.database import migrate
from service.dependencies import DatabaseDep
from service.errors import Unavailable
from service.health import exposition
from service.health.schemas import Health, Index, Readiness
from service.problems import problem_responses

router = APIRouter(tags=["health"])


@router.get("/", summary="Where to go from here")
def index(request: Request) -> Index:
    """The paths of the API."""
    return Index(version=request.app.version)


@router.get("/healthz", summary="Liveness")
def healthz() -> Health:
    """Answers as long as the process does."""
    return Health()


@router.get("/readyz", summary="Readiness", responses=problem_responses(503))
def readyz(database: DatabaseDep) -> Readiness:
    """Whether the database answers and its schema is current; 503 says what is missing."""
    current, head = migrate.current_revision(database), migrate.head_revision()
    if current != head:
        raise Unavailable(f"the schema is at {current or 'nothing'}, not at {head}; run `paretune db upgrade`")
    return Readiness(revision=current)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problem_responses(503)},
)
def metrics(database: DatabaseDep) -> Response:
    """Jobs by state and trials stored, in Prometheus' text format."""
    return Response(exposition.text(database), media_type=exposition.MEDIA_TYPE)
