"""Watches a server that was ready: one whose rank died may answer 503 for ever while its process lives on."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tuner.engines.asking import get
from tuner.engines.base import Address
from tuner.identity import identity_of, is_alive

_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How long (s) a server may say that it is not well, or say nothing, and how often it is asked.

    A server under full load may be slow to answer; one that answers 503 has said so.
    """

    refusing_seconds: float = 10.0
    silent_seconds: float = 120.0
    every_seconds: float = 1.0
    answer_seconds: float = 5.0


class HealthWatch:
    """Asks in a thread of its own, so that whoever loads the server is not held up; `stop` ends the thread."""

    def __init__(
        self, address: Address, path: str, pids: Callable[[], set[int]], tolerance: Tolerance | None = None
    ) -> None:
        """`pids`: the server's processes as it became ready, to tell later that some are gone."""
        self._address = address
        self._path = path
        self._tolerance = tolerance or Tolerance()
        self._at_first = [found for pid in pids() if (found := identity_of(pid)) is not None]
        self._sick: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"health of port {address.port}", daemon=True)
        self._thread.start()

    def sick(self) -> str | None:
        """What is wrong, in words; `None` while the server is well. Answers at once."""
        return self._sick

    def stop(self) -> None:
        """Ends the thread; safe to call again."""
        self._stopping.set()
        self._thread.join(timeout=self._tolerance.answer_seconds + 1)

    def _watch(self) -> None:
        well_at = time.monotonic()
        while not self._stopping.wait(self._tolerance.every_seconds):
            answer = get(self._address, self._path, self._tolerance.answer_seconds)
            now = time.monotonic()
            if answer is not None and answer[0] == _OK:
                well_at = now
                continue
            limit = self._tolerance.silent_seconds if answer is None else self._tolerance.refusing_seconds
            if now - well_at >= limit:
                said = "has not answered" if answer is None else f"has answered {answer[0]}"
                self._sick = (
                    f"the server {said} at {self._path} for {now - well_at:.0f} s after it was ready{self._missing()}"
                )
                return

    def _missing(self) -> str:
        gone = [identity for identity in self._at_first if not is_alive(identity)]
        return f"; {len(gone)} of its processes are gone: a rank died" if gone else ""
