"""Loads in processes of their own: several at once do not share an interpreter, whose lock would make each late.

The parent keeps what only it has: it asks whether the engine lives, hears of the cancellation, and reads the meter.
"""

import multiprocessing
import queue
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tuner.load.endpoint import Endpoint
from tuner.load.errors import ClientDiedError, LoadError
from tuner.load.measure import measure_load
from tuner.load.plan import Plan
from tuner.load.result import LoadResult
from tuner.load.run import goes_on, lives
from tuner.load.windows import Meter
from tuner.load.workload import Load
from tuner.processes import follow_parent
from tuner.trial import Failure

_LOOK_SECONDS: Final = 0.05
_END_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a child loads; `is_metered`: it may ask for the meter."""

    endpoint: Endpoint
    load: Load
    plan: Plan
    records_path: Path | None
    is_metered: bool


@dataclass(frozen=True, slots=True)
class _MeterQuestion:
    """The child asks for what the meter reads."""


@dataclass(frozen=True, slots=True)
class _MeterAnswer:
    """Joules since some moment in the past."""

    joules: float | None


@dataclass(frozen=True, slots=True)
class _Cancelled:
    """The child is to stop."""


_Said = LoadResult | Exception


class LoadProcesses:
    """As many processes as there are loads at once; each is used again, for its imports take a second.

    Leaving it ends them. May be used by several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes that no load uses."""
        while self._idle:
            self._idle.pop().end()

    def measure_load(
        self,
        endpoint: Endpoint,
        load: Load,
        plan: Plan,
        *,
        alive: Callable[[], Failure | None] = lives,
        cancelled: Callable[[], bool] = goes_on,
        meter: Meter | None = None,
        records_path: Path | None = None,
    ) -> LoadResult:
        """As `tuner.load.measure.measure_load`; raises `ClientDiedError` too, when the process ends before it is done."""
        with self._lock:
            child = self._idle.pop() if self._idle else None
        child = child or _Child()
        try:
            said = child.loaded(_Asked(endpoint, load, plan, records_path, meter is not None), alive, cancelled, meter)
        except BaseException:
            child.end()
            raise
        with self._lock:
            self._idle.append(child)
        if isinstance(said, Exception):
            raise said
        return said


class _Child:
    """One process, seen from the parent."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("forkserver")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="paretune-load", daemon=True)
        self._process.start()
        theirs.close()

    def loaded(
        self, asked: _Asked, alive: Callable[[], Failure | None], cancelled: Callable[[], bool], meter: Meter | None
    ) -> _Said:
        """What one load comes to; raises `ClientDiedError`, and what the watchers raise."""
        try:
            self._pipe.send(asked)
            return self._attended(alive, cancelled, meter)
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._process.join(_END_SECONDS)
            raise ClientDiedError(
                f"the process of the load ended with status {self._process.exitcode}; free memory and try again"
            ) from error

    def end(self) -> None:
        """Ends the process, also in the middle of a load."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _attended(
        self, alive: Callable[[], Failure | None], cancelled: Callable[[], bool], meter: Meter | None
    ) -> _Said:
        """Answers the child until it is done."""
        told: Failure | None = None
        was_cancelled = False
        while True:
            while self._pipe.poll(_LOOK_SECONDS):
                said = self._pipe.recv()
                if isinstance(said, LoadResult | Exception):
                    return said
                self._pipe.send(_MeterAnswer(None if meter is None else meter.read()))
            if told is None and (told := alive()) is not None:
                self._pipe.send(told)
            if not was_cancelled and cancelled():
                was_cancelled = True
                self._pipe.send(_Cancelled())


def _serve(pipe: Connection) -> None:
    """Runs loads in the child, one after the other, until the parent asks for no more."""
    follow_parent()
    parent = _Parent(pipe)
    threading.Thread(target=parent.listen, name="parent", daemon=True).start()
    while (asked := parent.asked.get()) is not None:
        said = _said(asked, parent)
        with suppress(BrokenPipeError):
            pipe.send(said)


def _said(asked: _Asked, parent: "_Parent") -> _Said:
    try:
        return measure_load(
            asked.endpoint,
            asked.load,
            asked.plan,
            alive=lambda: parent.failure,
            cancelled=lambda: parent.cancelled,
            meter=parent if asked.is_metered else None,
            records_path=asked.records_path,
        )
    except LoadError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a fault of our code is as loud in the parent
        error.add_note("".join(traceback.format_exception(error)))
        return error


class _Parent:
    """What the parent says, as a load asks for it; a `Meter`."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._answers: queue.SimpleQueue[float | None] = queue.SimpleQueue()
        self.asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self.failure: Failure | None = None
        self.cancelled = False

    def read(self) -> float | None:
        """What the parent's meter reads."""
        self._pipe.send(_MeterQuestion())
        return self._answers.get()

    def listen(self) -> None:
        """Takes what the parent says, until it says no more; what was said of one load does not hold for the next."""
        with suppress(EOFError, OSError):
            while True:
                said = self._pipe.recv()
                if isinstance(said, _MeterAnswer):
                    self._answers.put(said.joules)
                elif isinstance(said, Failure):
                    self.failure = said
                elif isinstance(said, _Asked):
                    self.failure, self.cancelled = None, False
                    self.asked.put(said)
                else:
                    self.cancelled = True
        self.asked.put(None)
