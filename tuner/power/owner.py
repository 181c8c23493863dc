"""Who changed the power of a GPU: a process, told from a later one with the same number."""

import os
from dataclasses import dataclass
from typing import Self

from tuner.identity import Identity, identity_of, is_alive, this_machine


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: the machine or container whose numbers count, its number, and when it started (an opaque text)."""

    machine: str
    pid: int
    started: str

    @classmethod
    def me(cls) -> Self:
        """This process."""
        own = identity_of(os.getpid())
        return cls(this_machine(), os.getpid(), own.started if own is not None else "unknown")

    def is_gone(self) -> bool:
        """Whether it is known to have ended; unknown, and so `False`, for one of another machine or container."""
        return self.machine == this_machine() and not is_alive(Identity(self.pid, self.started))

    def __str__(self) -> str:
        return f"process {self.pid} of {self.machine.partition(' ')[0]}"
