"""The worker: leases queued jobs one after the other and runs them until it is told to stop."""

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from service.database import migrate
from service.database.session import Database
from service.dependencies import Clock, utc_now
from service.errors import LeaseLost, Unavailable
from service.settings import Settings
from service.workers import lease as leases
from service.workers.heartbeat import Heartbeat
from service.workers.lease import Lease
from service.workers.measurements import remove_old
from service.workers.memory import LeasedMemory
from service.workers.report import Report
from service.workers.taking_up import take_up
from tuner.errors import KernelDataError, SpecError

if TYPE_CHECKING:
    from tuner.evaluators.pool import EvaluationPool

IDLE_SECONDS: Final = 0.2
"""How often an idle worker looks for a job."""
BACK_OFF_SECONDS: Final = 2.0
"""How long a worker waits for a database that does not answer, or a schema that is not current."""
SCHEMA_POLL_SECONDS: Final = 0.1

_log = logging.getLogger(__name__)


def work(
    settings: Settings,
    *,
    stop: threading.Event,
    once: bool = False,
    only: str | None = None,
    pool: "EvaluationPool | None" = None,
    clock: Clock = utc_now,
) -> None:
    """Runs jobs until `stop` is set; with `once` until the queue is empty, and with `only` the job of that idempotency
    key alone, which is taken up where it was cut short.

    Without a `pool` it starts one, whose processes begin their imports at once, and another when those die. A job that is running when `stop` is
    set goes back into the queue. What a worker that was killed left running, or set on GPUs, is cleared up first.
    """
    with Database(settings.url) as database:
        if pool is not None:
            _serve(database, pool, stop, clock, settings, once=once, only=only)
            return
        from tuner.evaluators.pool import EvaluationPool

        while not stop.is_set():
            try:
                with EvaluationPool() as owned:
                    _serve(database, owned, stop, clock, settings, once=once, only=only)
                    return
            except BrokenExecutor:
                _log.exception("an evaluating process died (out of memory?); starting new ones")


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """Sets `stop` on SIGTERM and SIGINT; to be entered in the main thread."""

    def _set(number: int, _frame: FrameType | None) -> None:
        _log.info("stopping on %s", signal.Signals(number).name)
        stop.set()

    before = {number: signal.signal(number, _set) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _serve(
    database: Database,
    pool: "EvaluationPool",
    stop: threading.Event,
    clock: Clock,
    settings: Settings,
    *,
    once: bool,
    only: str | None,
) -> None:
    """Runs jobs on one pool; raises `BrokenExecutor` once the pool is of no use any more."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
    _clear_up(settings)
    _await_schema(database, stop)
    if only is not None and not stop.is_set():
        take_up(database, only, clock())
    _log.info("worker %s is ready", owner)
    while not stop.is_set():
        lease = _next(database, owner, only, stop, clock)
        if lease is not None:
            _run(database, lease, pool, stop, clock, settings)
        elif once:
            return
        else:
            stop.wait(IDLE_SECONDS)


def _clear_up(settings: Settings) -> None:
    """What cannot be cleared up is said, and is no reason not to work."""
    from service.workers.engines import clear_up
    from tuner.errors import TunerError

    try:
        clear_up(settings)
    except (TunerError, OSError) as error:
        _log.error("what an earlier worker left cannot be cleared up: %s", error)


def _await_schema(database: Database, stop: threading.Event) -> None:
    waited = False
    while not stop.is_set():
        try:
            if migrate.is_current(database):
                return
            reason, seconds = "its schema is not current; run `paretune db upgrade`", SCHEMA_POLL_SECONDS
        except Unavailable as error:
            reason, seconds = error.detail, BACK_OFF_SECONDS
        if not waited:
            _log.warning("waiting for the database: %s", reason)
            waited = True
        stop.wait(seconds)


def _next(database: Database, owner: str, only: str | None, stop: threading.Event, clock: Clock) -> Lease | None:
    """The next job, if there is one; a database that does not answer is one without jobs, after a pause."""
    try:
        with database.read() as session:
            if not leases.waiting(session, clock(), only):
                return None
        with database.write() as session:
            return leases.acquire(session, owner, clock(), only)
    except SQLAlchemyError as error:
        _log.warning("cannot look for jobs: %s", error)
        stop.wait(BACK_OFF_SECONDS)
        return None


def _run(
    database: Database, lease: Lease, pool: "EvaluationPool", stop: threading.Event, clock: Clock, settings: Settings
) -> None:
    """Runs one job to an end that the database knows of; only the end of the process escapes it."""
    _log.info("job %s: running", lease.job_id)
    if lease.spec.starts_engines:
        remove_old(settings.data_dir.expanduser(), settings.measurements_days, clock())
    with Heartbeat(database, lease, clock) as heartbeat:
        report = Report(database, lease, heartbeat, stop, clock)
        try:
            _study(lease, report, LeasedMemory(database, lease, clock), pool, settings)
        except LeaseLost as error:
            _log.warning("job %s: %s", lease.job_id, error.detail)
        except SQLAlchemyError:
            _log.exception("job %s: the database failed; the job is taken up again when its lease ends", lease.job_id)
            stop.wait(BACK_OFF_SECONDS)


def _study(lease: Lease, report: Report, memory: LeasedMemory, pool: "EvaluationPool", settings: Settings) -> None:
    from service.workers.engines import workshop_of
    from tuner.engines.errors import EngineError
    from tuner.power.errors import PowerError
    from tuner.search.run import run_job

    try:
        earlier = report.earlier() if lease.spec.measures else ()
        workshop = workshop_of(settings, lease.job_id) if lease.spec.measures else None
        result = run_job(lease.spec, report, pool, memory, earlier, workshop)
    except (LeaseLost, OperationalError, InterfaceError):
        raise
    except BrokenExecutor:
        report.given_up()
        raise
    except SpecError as error:
        _log.info("job %s: wrong spec: %s", lease.job_id, error)
        report.failed("invalid_spec", str(error))
    except EngineError as error:
        _log.error("job %s: %s", lease.job_id, error)
        report.failed("engine", str(error))
    except PowerError as error:
        _log.error("job %s: %s", lease.job_id, error)
        report.failed("gpus", str(error))
    except KernelDataError as error:
        _log.error("job %s: %s", lease.job_id, error)
        report.failed("kernel_data", str(error))
    except Exception as error:  # noqa: BLE001 - a fault of our code fails the job loudly, and the worker lives on
        _log.exception("job %s: failed", lease.job_id)
        report.failed("internal", f"paretune failed: {_short(error)}; the worker's log has the rest")
    else:
        if result.cancelled and not report.cancelled_by_user:
            report.handed_back()
            _log.info("job %s: handed back to the queue", lease.job_id)
        else:
            report.finished(result)
            _log.info("job %s: %d trials in %.1f s", lease.job_id, result.evaluated, result.wall_seconds)


def _short(error: Exception) -> str:
    """The kind of an error and its first line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
