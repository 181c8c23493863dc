"""One try to start a server on one port: its record, its process, its log, and why it failed."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tuner.engines.asking import is_ready
from tuner.engines.base import Address
from tuner.engines.environment import clean_environment
from tuner.engines.failures import Exit, failure_of_exit, final_failure, named_by, quoted
from tuner.engines.hang import HangWatch
from tuner.engines.health import HealthWatch
from tuner.engines.kept_process import KeptProcess
from tuner.engines.kernel_memory import kernel_kills
from tuner.engines.log import NewLines, searched, size_of
from tuner.engines.plan import ServerPlan
from tuner.engines.ports import HOST, is_free, strangers_on
from tuner.engines.records import Ledger, Record
from tuner.engines.stop_command import run_stop
from tuner.trial import Failure, FailureKind

Clock = Callable[[], float]

_LOOK_SECONDS: Final = 1.0


class Attempt:
    """A started server, ready or not; it is on record from before its start until it is ended."""

    def __init__(self, plan: ServerPlan, ledger: Ledger, log_path: Path, port: int, clock: Clock) -> None:
        """Starts it; raises `EngineError` when the machine does not."""
        self._plan = plan
        self._ledger = ledger
        self._log_path = log_path
        self._clock = clock
        self._record = Record.new(plan.engine, port, plan.files, plan.stop(port))
        self._failure: Failure | None = None
        self._is_over = False
        self._was_ready = False
        self._health: HealthWatch | None = None
        self.address = Address(HOST, port, plan.model)
        self.arguments = plan.arguments(port)
        self.started_at = clock()
        self._kills_before = kernel_kills()
        self._news = NewLines(log_path)
        self._echo_bytes = 0
        self._hang = HangWatch(plan.patience, self.started_at)
        self._looked_at = self.started_at
        environment = clean_environment(os.environ, plan.environment, self._record.run, plan.devices)
        ledger.write(self._record)
        try:
            self._process = KeptProcess(self.arguments, environment, log_path, plan.grace_seconds)
        except BaseException:
            self._remove_traces()
            raise
        try:
            ledger.write(self._record.kept_by(self._process.identity))
        except BaseException:
            self.end()
            raise

    def failure(self) -> Failure | None:
        """Why the server is gone, or will never come; `None` while there is hope."""
        if self._failure is None and not self._is_over:
            self._failure = self._found()
        return self._failure

    def start_failure(self) -> Failure | None:
        """`failure`, or that the start takes too long or hangs."""
        return self.failure() or self._too_late()

    def is_answering(self) -> bool:
        """Whether something answers on the port as a ready server does."""
        return is_ready(self.address, self._plan.ready_path)

    def taken_by(self) -> list[str]:
        """Who else listens on the port, or that nobody of ours does; empty when it is the server's alone.

        The sockets of a container are another user's: there a taken port makes the server end by itself.
        """
        if self._plan.is_container:
            return []
        quick = strangers_on(self.address.port, self._process.tree_pids())
        return quick and strangers_on(self.address.port, self._process.pids())

    def becomes_ready(self) -> None:
        """Marks the start as over, for the words of a later failure."""
        self._was_ready = True
        if self._plan.watches_health:
            self._health = HealthWatch(self.address, self._plan.ready_path, self._process.tree_pids)

    def end(self) -> None:
        """Ends the server with everything it started, its files and its record; safe to call again.

        Raises `EngineError` when a process cannot be ended: then it stays on record.
        """
        if self._is_over:
            return
        self.failure()
        try:
            self._process.end()
            run_stop(self._record.stop)
        finally:
            # after the server: a question that it never answers would hold the thread up
            if self._health is not None:
                self._health.stop()
        self._remove_traces()
        self._is_over = True

    def _found(self) -> Failure | None:
        status = self._process.exit_status
        if status is None:
            return self._final() or self._sick()
        ended = Exit(status, kernel_kills() > self._kills_before)
        phase = "after it was ready" if self._was_ready else "before it was ready"
        failure = failure_of_exit(self._plan.patterns, searched(self._log_path), ended, phase)
        if failure.kind is FailureKind.CRASHED and not self._was_ready and not is_free(self.address.port):
            return Failure(FailureKind.LOST, f"somebody else listens on port {self.address.port}; {failure.detail}")
        return failure

    def _final(self) -> Failure | None:
        """A failure that the log calls final, named by the most telling line of all that was written."""
        final = final_failure(self._plan.patterns, self._heard())
        return final and (named_by(self._plan.patterns, searched(self._log_path)) or final)

    def _sick(self) -> Failure | None:
        """That the server was ready, and is no more, though its process lives."""
        detail = None if self._health is None else self._health.sick()
        return None if detail is None else Failure(FailureKind.CRASHED, detail)

    def _heard(self) -> str:
        """What was written since the last call; what the server wrote of our own asking is counted apart."""
        news = self._news.read()
        asked = f"GET {self._plan.ready_path}"
        self._echo_bytes += sum(len(line.encode()) + 1 for line in news.splitlines() if asked in line)
        return news

    def _too_late(self) -> Failure | None:
        now = self._clock()
        waited = now - self.started_at
        if waited >= self._plan.start_timeout_seconds:
            return self._timeout(f"not ready after {waited:.0f} s")
        if now - self._looked_at < _LOOK_SECONDS:
            return None
        self._looked_at = now
        spoken_bytes = size_of(self._log_path) - self._echo_bytes
        hangs = self._hang.seen(now, spoken_bytes, self._process.work())
        return self._timeout(f"hangs before it is ready: {hangs}") if hangs else None

    def _timeout(self, what: str) -> Failure:
        last = next((line for line in reversed(searched(self._log_path).splitlines()) if line.strip()), "")
        said = f"its last line: {quoted(last)}" if last else "it wrote nothing"
        return Failure(FailureKind.START_TIMEOUT, f"{what}; {said}")

    def _remove_traces(self) -> None:
        for path in self._plan.files:
            path.unlink(missing_ok=True)
        self._ledger.remove(self._record.run)


def wall_clock() -> float:
    """Seconds of a clock that nobody sets."""
    return time.monotonic()
