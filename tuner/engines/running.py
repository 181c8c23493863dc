"""A started server from start to stop, whatever the engine."""

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from tuner.engines.attempt import Attempt, Clock, wall_clock
from tuner.engines.base import LOG_TAIL_BYTES, Address, Cancelled, never
from tuner.engines.errors import EngineError, EngineFailedError, StartCancelledError
from tuner.engines.log import tail
from tuner.engines.plan import ServerPlan
from tuner.engines.ports import free_port
from tuner.engines.records import Ledger
from tuner.engines.served_model import gauges, served_name
from tuner.trial import Failure, FailureKind

LOG_NAME: Final = "engine.log"
"""The log in the trial's folder; `engine.1.log` is that of a start whose port somebody else took."""

_TRIES: Final = 2
_LOOK_SECONDS: Final = 0.05
_LONGEST_LOOK_SECONDS: Final = 1.0

ChoosePort = Callable[[Collection[int]], int]


class RunningServer:
    """A server that was started by a plan; a `RunningEngine`."""

    def __init__(
        self, plan: ServerPlan, ledger: Ledger, choose_port: ChoosePort = free_port, clock: Clock = wall_clock
    ) -> None:
        """Starts it and returns at once; raises `EngineError` when the machine does not start it."""
        self._plan = plan
        self._ledger = ledger
        self._choose_port = choose_port
        self._clock = clock
        self._address: Address | None = None
        self._ready_seconds: float | None = None
        self._version: str | None = None
        self._tries = 0
        self.log_path = plan.folder / LOG_NAME
        self._attempt = self._start(())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_ready(self, cancelled: Cancelled = never) -> Address:
        """Waits until the server answers on a port that is its alone, with what was asked of it.

        Starts once more on another port where somebody else took the first. Raises `EngineFailedError` or
        `StartCancelledError`, with the server ended.
        """
        with self._ended_on_error():
            while self._address is None:
                if cancelled():
                    raise StartCancelledError(f"the start of {self._plan.engine} was called off")
                failure = self._attempt.start_failure() or self._claimed()
                if failure is None and self._address is None:
                    time.sleep(self._pause_seconds())
                elif failure is not None:
                    self._try_again_or_fail(failure)
            return self._address

    def failure(self) -> Failure | None:
        """Why the server is gone; `None` while it lives, and after it was stopped while it lived."""
        return self._attempt.failure()

    def metrics(self) -> Mapping[str, float]:
        """The server's own gauges and counters by name; empty where it shows none."""
        path = self._plan.metrics_path
        return gauges(self._address, path) if self._address is not None and path is not None else {}

    def facts(self) -> Mapping[str, object]:
        """How it was started, and how far its start has come, as plain data."""
        artefact = self._plan.artefact
        return {
            "engine": self._plan.engine,
            "engine_version": self._version or self._plan.installed_version,
            "served_model": self._address.model if self._address is not None else None,
            "arguments": list(self._attempt.arguments),
            "port": self._attempt.address.port,
            "devices": list(self._plan.devices),
            "starts": self._tries,
            "ready_seconds": self._ready_seconds,
            "artefact": None if artefact.path is None else str(artefact.path),
            "artefact_bytes": artefact.size_bytes,
            "build_seconds": artefact.build_seconds,
            "artefact_was_cached": artefact.was_cached,
            **self._plan.read(self.log_path),
        }

    def log_tail(self) -> str:
        """The end of the log, at most `LOG_TAIL_BYTES`."""
        return tail(self.log_path, LOG_TAIL_BYTES)

    def stop(self) -> None:
        """Ends the server and everything it started; safe to call again.

        Raises `EngineError` when a process cannot be ended.
        """
        self._attempt.end()

    def _start(self, taken: Collection[int]) -> Attempt:
        self._tries += 1
        try:
            self._plan.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(
                f"cannot write to {self._plan.folder} ({error.strerror}); set PARETUNE_DATA_DIR"
            ) from error
        port = self._choose_port({*self._ledger.ports(), *taken})
        return Attempt(self._plan, self._ledger, self.log_path, port, self._clock)

    def _pause_seconds(self) -> float:
        """Until the next look: short at first, later a fiftieth of the wait, so that asking is no load."""
        waited = self._clock() - self._attempt.started_at
        return min(_LONGEST_LOOK_SECONDS, max(_LOOK_SECONDS, waited / 50))

    def _claimed(self) -> Failure | None:
        """Takes the address once the server answers; what is wrong with the server that answers, if anything is."""
        attempt = self._attempt
        if not attempt.is_answering():
            return None
        others = attempt.taken_by()
        if others:
            listeners = ", ".join(others)
            return Failure(FailureKind.LOST, f"port {attempt.address.port} is not the server's alone: {listeners}")
        wrong = self._plan.check(attempt.address)
        if wrong is not None:
            return wrong
        self._ready_seconds = round(self._clock() - attempt.started_at, 3)
        self._version = self._plan.version(attempt.address)
        self._address = replace(attempt.address, model=served_name(attempt.address))
        attempt.becomes_ready()
        return None

    def _try_again_or_fail(self, failure: Failure) -> None:
        if failure.kind is not FailureKind.LOST or self._tries >= _TRIES:
            raise EngineFailedError(failure, self.log_tail())
        lost = self._attempt.address.port
        self._attempt.end()
        self.log_path.replace(self.log_path.with_suffix(f".{self._tries}.log"))
        self._attempt = self._start((lost,))

    @contextlib.contextmanager
    def _ended_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.stop()
            raise
