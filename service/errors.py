"""Errors of the service, each with the mend in its message and the HTTP status it answers with.

ServiceError
├── InvalidRequest        a field of the request is wrong; carries one FieldProblem per wrong field
│   └── UnreadableBody    the request's body cannot be read as the data it claims to be
├── NotFound              no such job, trial or export format
├── Conflict              the state of the job forbids it
├── UnsupportedMediaType  the body is in no format that the call reads
├── Unavailable           the database or the kernel data is not there at the moment
├── SettingsError         an environment variable is wrong
└── LeaseLost             another worker has the job now; what this one found is dropped
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field of a request: its dotted path, what is wrong and what would be right."""

    field: str
    message: str


class ServiceError(Exception):
    """Root of every error raised by `service`."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    kind: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, problems: Sequence[FieldProblem] = ()) -> None:
        self.detail = detail
        self.problems = tuple(problems)
        super().__init__(detail)


class InvalidRequest(ServiceError):  # noqa: N818
    """A field of the request is wrong."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    kind = "invalid-request"
    title = "Invalid request"

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidRequest":
        """The error of a single wrong field."""
        return cls(f"{field}: {message}" if field else message, [FieldProblem(field, message)])


class UnreadableBody(InvalidRequest):
    """The request's body cannot be read as the data it claims to be."""

    kind = "unreadable-body"
    title = "Unreadable body"


class NotFound(ServiceError):  # noqa: N818
    """There is no such job, trial or export format."""

    status = HTTPStatus.NOT_FOUND
    kind = "not-found"
    title = "Not found"


class Conflict(ServiceError):  # noqa: N818
    """The state of the job forbids it."""

    status = HTTPStatus.CONFLICT
    kind = "conflict"
    title = "Conflict"


class UnsupportedMediaType(ServiceError):  # noqa: N818
    """The body is in no format that the call reads."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    kind = "unsupported-media-type"
    title = "Unsupported media type"


class Unavailable(ServiceError):  # noqa: N818
    """The database or the kernel data is not there at the moment."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    kind = "unavailable"
    title = "Unavailable"


class SettingsError(ServiceError):
    """An environment variable is wrong."""

    kind = "settings"
    title = "Wrong settings"


class LeaseLost(ServiceError):  # noqa: N818
    """Another worker has the job now; what this one found is dropped."""

    kind = "lease-lost"
    title = "Lease lost"
