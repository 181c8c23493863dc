"""Errors of the engines, each with the mend in its message.

EngineError               the machine or the installation is at fault, not the configuration
├── ProgramMissingError   the program of an engine is not installed here
├── PortsTakenError       no free port was found
└── BuildError            an artefact could not be made
EngineFailedError         this configuration failed on the engine; carries the `Failure` and the end of the log
StartCancelledError       the caller asked to stop while the engine was being built or started
"""

from tuner.errors import TunerError
from tuner.trial import Failure


class EngineError(TunerError):
    """An engine cannot be run on this machine, whatever the configuration."""


class ProgramMissingError(EngineError):
    """The program of an engine is not installed here."""


class PortsTakenError(EngineError):
    """No free port was found."""


class BuildError(EngineError):
    """What an engine starts from could not be made."""


class EngineFailedError(TunerError):
    """A configuration failed on the engine; `log_tail` is the end of the engine's log."""

    def __init__(self, failure: Failure, log_tail: str = "") -> None:
        self.failure = failure
        self.log_tail = log_tail
        super().__init__(f"{failure.kind.value}: {failure.detail}")


class StartCancelledError(TunerError):
    """The caller asked to stop while the engine was being built or started."""
