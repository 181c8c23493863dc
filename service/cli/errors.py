"""Errors of the command line, and the one place where every error gets its lines and its exit code.

CliError
├── BadUsageError         an argument, a file or a spec is wrong                    exit 2
├── NoFeasibleError       no configuration keeps the limits                         exit 3
└── FailedError           the job, or something that the command started, failed    exit 1
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The exit codes of the public contract."""

    DONE = 0
    FAILED = 1
    BAD_USAGE = 2
    NO_FEASIBLE = 3
    NOT_REACHABLE = 4


class CliError(Exception):
    """Root of the command line's own errors; `lines` are what the user reads."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        super().__init__("; ".join(lines))


class BadUsageError(CliError):
    """An argument, a file or a spec is wrong."""

    exit_code = ExitCode.BAD_USAGE


class NoFeasibleError(CliError):
    """No configuration keeps the limits."""

    exit_code = ExitCode.NO_FEASIBLE


class FailedError(CliError):
    """The job, or something that the command started, failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the user reads on standard error, and the exit code."""

    lines: Sequence[str]
    exit_code: ExitCode


def outcome_of(error: Exception) -> Outcome | None:
    """The lines and the exit code of a known error; `None` for one that is a fault of our code."""
    from service.client.errors import RefusedError, UnreachableError
    from service.errors import ServiceError, SettingsError
    from tuner.errors import SpecError, TunerError
    from tuner.load import errors as load

    match error:
        case CliError():
            return Outcome(error.lines, error.exit_code)
        case SpecError():
            return Outcome([str(problem) for problem in error.problems], ExitCode.BAD_USAGE)
        case UnreachableError() | load.UnreachableError():
            return Outcome([str(error)], ExitCode.NOT_REACHABLE)
        case RefusedError():
            code = ExitCode.BAD_USAGE if error.status == 422 else ExitCode.FAILED
            return Outcome(error.problems or [error.detail], code)
        case load.EndpointError() if not isinstance(error, load.RefusedError):
            return Outcome([str(error)], ExitCode.BAD_USAGE)
        case SettingsError():
            return Outcome([f"{found.field}: {found.message}" for found in error.problems], ExitCode.BAD_USAGE)
        case ServiceError() | TunerError():
            return Outcome([str(error)], ExitCode.FAILED)
    return None
