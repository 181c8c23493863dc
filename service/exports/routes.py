"""The route of exports."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.dependencies import DatabaseDep
from service.errors import NotFound
from service.problems import problem_responses
from service.trials import lifecycle

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])


@router.get(
    "/exports/{format}",
    summary="Export a point of a job",
    response_class=Response,
    response_description="The file; its name stands in `Content-Disposition`",
    responses={
        200: {
            "content": {
                "application/yaml": {"schema": {"type": "string"}},
                "text/x-shellscript": {"schema": {"type": "string"}},
                "application/json": {"schema": {"type": "string"}},
                "text/csv": {"schema": {"type": "string"}},
            }
        },
        **problem_responses(404, 409, 422, 503),
    },
)
def export_point(
    job_id: str,
    format: str,
    database: DatabaseDep,
    pick: Annotated[
        str, Query(description="a recommendation's name, or a trial number", examples=["balanced", "18"])
    ] = "balanced",
) -> Response:
    """The engine configuration (or script) that deploys a recommendation or a trial."""
    from tuner.exports import FORMATS, ExportContext, export

    if format not in FORMATS:
        raise NotFound(f"there is no export format {format!r}; the formats are {', '.join(FORMATS)}")
    picked = lifecycle.pick(database, job_id, pick)
    file = export(format, ExportContext(job_id=job_id, spec=picked.spec, trial=picked.trial, pick=picked.pick))
    return Response(
        file.text,
        media_type=file.media_type,
        headers={"Content-Disposition": f'attachment; filename="{file.name}"'},
    )
