"""Every error of the API as RFC 9457 problem details, through one set of handlers."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from service.errors import FieldProblem, ServiceError, Unavailable
from tuner.errors import ExportError, KernelDataError, SpecError

MEDIA_TYPE: Final = "application/problem+json"

_log = logging.getLogger(__name__)


class ProblemField(BaseModel):
    """One wrong field: its dotted path, what is wrong and what would be right."""

    field: str = Field(examples=["hardware.gpu"])
    message: str = Field(examples=["no kernel data for GPU 'h1000'; did you mean h100_sxm?"])


class Problem(BaseModel):
    """An RFC 9457 problem: what went wrong and how to mend it."""

    type: str = Field(examples=["urn:paretune:problem:invalid-spec"])
    title: str = Field(examples=["Invalid job spec"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["hardware.gpu: no kernel data for GPU 'h1000'; did you mean h100_sxm?"])
    errors: list[ProblemField] = Field(default_factory=list)


Responses = dict[int | str, dict[str, Any]]

_DESCRIPTIONS: Final = {
    404: "There is no such job, trial, recommendation or format",
    409: "The state of the job forbids it",
    413: "The body is too large",
    415: "The body is neither JSON nor YAML",
    422: "A field is wrong; `errors` names each one",
    503: "The database or the kernel data is not there at the moment",
}


def problem_responses(*statuses: int) -> Responses:
    """The OpenAPI description of the problems that a route answers with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _DESCRIPTIONS[status], "content": content} for status in statuses}


def install(app: FastAPI) -> None:
    """Makes every error of `app` a problem."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(SpecError, _spec_error)
    app.add_exception_handler(ExportError, _export_error)
    app.add_exception_handler(KernelDataError, _kernel_data_error)
    app.add_exception_handler(RequestValidationError, _request_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(OperationalError, _database_error)
    app.add_exception_handler(Exception, _internal_error)


def problem(
    status: int,
    kind: str,
    title: str,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    *,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The response of one problem; `kind` is the last part of its `type`."""
    content = Problem(
        type=f"urn:paretune:problem:{kind}",
        title=title,
        status=status,
        detail=detail,
        errors=[ProblemField(field=error.field, message=error.message) for error in errors],
    )
    return JSONResponse(content.model_dump(), status_code=status, headers=headers, media_type=MEDIA_TYPE)


async def _service_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    return problem(error.status, error.kind, error.title, error.detail, error.problems)


async def _spec_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SpecError)
    errors = [FieldProblem(found.field, found.message) for found in error.problems]
    return problem(422, "invalid-spec", "Invalid job spec", str(error), errors)


async def _export_error(_request: Request, error: Exception) -> JSONResponse:
    return problem(409, "not-exportable", "Not exportable", str(error))


async def _kernel_data_error(_request: Request, error: Exception) -> JSONResponse:
    return problem(503, "kernel-data", "Kernel data not available", str(error))


async def _request_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [FieldProblem(_path(item["loc"]), item["msg"].removeprefix("Value error, ")) for item in error.errors()]
    detail = "; ".join(f"{found.field}: {found.message}" if found.field else found.message for found in errors)
    return problem(422, "invalid-request", "Invalid request", detail, errors)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = str(error.detail)
    if status is HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {request.url.path}; see /docs for what there is"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "another method")
        detail = f"{request.method} does not exist at {request.url.path}; use {allowed}"
    kind = status.phrase.lower().replace(" ", "-")
    return problem(status, kind, status.phrase, detail, headers=error.headers)


async def _database_error(_request: Request, error: Exception) -> JSONResponse:
    _log.error("the database does not answer", exc_info=error)
    detail = "the database does not answer; try again, and look at GET /readyz when it goes on"
    return problem(503, Unavailable.kind, Unavailable.title, detail)


async def _internal_error(_request: Request, _error: Exception) -> JSONResponse:
    detail = "paretune failed; its log has the reason: report it with the log's last lines"
    return problem(500, "internal", "Internal error", detail)


_PLACES: Final = ("body", "query", "path", "header", "cookie")


def _path(location: Sequence[object]) -> str:
    """The dotted path of a wrong field; `("body", 17)` is a position in a body that is no JSON."""
    parts = [str(part) for part in location]
    if parts and parts[0] in _PLACES:
        parts = parts[1:]
    if len(location) == 2 and location[0] == "body" and isinstance(location[1], int):
        return ""
    return ".".join(parts)
