"""Tells a server that hangs while it starts from one that works on in silence."""

from dataclasses import dataclass
from typing import Final

_WORKING_SHARE: Final = 0.02
"""Share of one processor above which a process counts as working: an idle event loop stays far below."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a start may give no sign of life (s): neither output nor work, or no output however much work."""

    idle_seconds: float = 120.0
    silent_seconds: float = 900.0


@dataclass(frozen=True, slots=True)
class Work:
    """What processes have done: processor time (s), and bytes read from and written to storage."""

    cpu_seconds: float = 0.0
    storage_bytes: int = 0


class HangWatch:
    """Watches the size of a log and the work of its writers; times in seconds of one clock."""

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._most_bytes = 0
        self._work = Work()
        self._seen_at = self._spoke_at = self._worked_at = now

    def seen(self, now: float, log_bytes: int, work: Work) -> str | None:
        """What is wrong, in words, given what is seen now; `None` while there are signs of life.

        To be told every second or less often. Figures may fall, when a process of several ends.
        """
        if log_bytes > self._most_bytes:
            self._most_bytes, self._spoke_at = log_bytes, now
        used = abs(work.cpu_seconds - self._work.cpu_seconds)
        if used > _WORKING_SHARE * (now - self._seen_at) or work.storage_bytes != self._work.storage_bytes:
            self._worked_at = now
        self._work, self._seen_at = work, now
        idle = now - max(self._spoke_at, self._worked_at)
        if idle >= self._patience.idle_seconds:
            return f"it wrote nothing and did nothing for {idle:.0f} s"
        silent = now - self._spoke_at
        if silent >= self._patience.silent_seconds:
            return f"it wrote nothing for {silent:.0f} s, though it was at work"
        return None
