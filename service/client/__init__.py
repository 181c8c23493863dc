"""A client of the REST API, for the command line and for scripts."""

from service.client.answers import (
    BaselineAnswer,
    FailureAnswer,
    FrontierAnswer,
    JobAnswer,
    MissAnswer,
    ProgressAnswer,
    TrialAnswer,
)
from service.client.errors import ClientError, RefusedError, UnreachableError
from service.client.http import DEFAULT_URL, ExportAnswer, ServiceClient

__all__ = [
    "DEFAULT_URL",
    "BaselineAnswer",
    "ClientError",
    "ExportAnswer",
    "FailureAnswer",
    "FrontierAnswer",
    "JobAnswer",
    "MissAnswer",
    "ProgressAnswer",
    "RefusedError",
    "ServiceClient",
    "TrialAnswer",
    "UnreachableError",
]
