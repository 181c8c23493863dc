"""What measuring jobs remember for later ones: the simulator's errors and the failures, by machine."""

from collections.abc import Sequence
from typing import Protocol

from tuner.search.staged.learned import Correction, Scope


class Memory(Protocol):
    """Keeps what was learned beyond the job; calls may raise, which ends the study."""

    def recall(self, scopes: Sequence[Scope]) -> Sequence[Correction]:
        """What earlier jobs learned there, the newest last; never what this job did."""

    def keep(self, scope: Scope, trial: int, correction: Correction) -> None:
        """Keeps what a trial of this job taught; a later word on the same trial takes its place."""


class NoMemory:
    """Remembers nothing."""

    def recall(self, scopes: Sequence[Scope]) -> Sequence[Correction]:  # noqa: ARG002
        """Nothing."""
        return ()

    def keep(self, scope: Scope, trial: int, correction: Correction) -> None:
        """Forgets it."""
