"""Errors of the client, each with the mend in its message.

ClientError
├── UnreachableError      nothing answers at the URL, or what answers is no paretune service
└── RefusedError          the service said no: its status, its sentence, and one problem per wrong field
"""

from collections.abc import Sequence


class ClientError(Exception):
    """Root of every error raised by `service.client`."""


class UnreachableError(ClientError):
    """Nothing answers at the URL, or what answers is no paretune service."""


class RefusedError(ClientError):
    """The service refused the call; `problems` are its lines about single fields."""

    def __init__(self, status: int, detail: str, problems: Sequence[str] = ()) -> None:
        self.status = status
        self.detail = detail
        self.problems = tuple(problems)
        super().__init__(detail)
