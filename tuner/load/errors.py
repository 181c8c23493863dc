"""Errors of a load, each with the mend in its message.

LoadError
├── EndpointError         the endpoint as given cannot be used
│   ├── UnreachableError  nothing answers there
│   └── RefusedError      it answers, and does not take requests of the kind that the load needs
├── BrokenLoadError       too many requests failed; carries how many by kind
├── LostEngineError       the engine ended under the load
├── OverloadError         the engine does not keep up: no steady window within the time, or a queue without end
├── SlowClientError       this client was the limit, so the figures are refused; carries its lateness
├── ClientDiedError       the process that sends the load ended before it was done
└── CancelledLoadError    the caller asked to stop
"""

from collections.abc import Mapping
from typing import Self

from tuner.errors import TunerError
from tuner.load.lateness import Lateness
from tuner.load.records import ErrorKind
from tuner.trial import Failure


class LoadError(TunerError):
    """Root of every error of a load."""


class EndpointError(LoadError):
    """The endpoint as given cannot be used."""


class UnreachableError(EndpointError):
    """Nothing answers at the endpoint."""


class RefusedError(EndpointError):
    """The endpoint answers, and does not take requests of the kind that the load needs."""


class BrokenLoadError(LoadError):
    """Too many requests failed; `errors` counts them by kind, `finished` the requests that did well."""

    def __init__(self, message: str, errors: Mapping[ErrorKind, int], finished: int) -> None:
        self.errors = dict(errors)
        self.finished = finished
        super().__init__(message)

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        return type(self), (str(self), self.errors, self.finished)


class LostEngineError(LoadError):
    """The engine ended under the load; `failure` is why, as its keeper says."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(f"the engine ended under the load: {failure.detail}")

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        return type(self), (self.failure,)


class OverloadError(LoadError):
    """The engine does not keep up with the load within the time given."""


class SlowClientError(LoadError):
    """This client was the limit, so that the figures say nothing of the engine; `lateness` is what it measured."""

    def __init__(self, message: str, lateness: Lateness) -> None:
        self.lateness = lateness
        super().__init__(message)

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        return type(self), (str(self), self.lateness)


class ClientDiedError(LoadError):
    """The process that sends the load ended before it was done."""


class CancelledLoadError(LoadError):
    """The caller asked to stop."""
