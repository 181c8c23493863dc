"""Measures configurations on real engines: build, start, wait, load, stop; every failure gets its name."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tuner.configuration import Configuration
from tuner.engines.base import Engine, Launch
from tuner.engines.errors import BuildError, EngineFailedError, StartCancelledError
from tuner.engines.registry import open_engine
from tuner.engines.served import ledger_of
from tuner.engines.sweeper import sweep
from tuner.errors import SpecError
from tuner.evaluators.doing import Doing, Stage, start_of
from tuner.evaluators.energy import failure_of, power_details
from tuner.evaluators.figures import measurement_of, plan_of
from tuner.evaluators.gpu_host import open_gpu_host
from tuner.evaluators.hosts import PROCESSOR, Host, ProcessorHost
from tuner.evaluators.machine import busy_share, machine
from tuner.evaluators.offline import measured_offline
from tuner.evaluators.servers import Server, Servers, Started
from tuner.evaluators.source import Expected, Place, Workshop
from tuner.load.apart import LoadProcesses
from tuner.load.arrivals import Arrivals, Closed, Open, Replayed
from tuner.load.endpoint import Endpoint
from tuner.load.errors import (
    BrokenLoadError,
    CancelledLoadError,
    ClientDiedError,
    LoadError,
    LostEngineError,
    OverloadError,
    SlowClientError,
)
from tuner.load.result import LoadResult
from tuner.load.workload import load_of
from tuner.metrics import METRICS, Kind, Objective
from tuner.power.errors import PowerError, PowerRefusedError, TakeCancelledError, TooFewGpusError
from tuner.space.lengths import lengths_of, trace_of
from tuner.spec import JobSpec, MeasuringTool
from tuner.trial import Failure, FailureKind, Measurement

_QUICK_START_SECONDS: Final = 5.0
"""A small model on a processor is up within seconds."""
RECORDS: Final = "requests.jsonl.gz"


class EngineSource:
    """Measures a job's configurations on one engine of this machine, as many at once as its devices hold.

    A context manager: leaving it ends the servers that are still up. A server is kept while only the load changes.
    `folder`: where logs and requests' records go, one folder a measurement.
    """

    def __init__(
        self,
        spec: JobSpec,
        engine: Engine,
        folder: Path,
        host: Host,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec, self._engine, self._folder, self._host = spec, engine, folder, host
        self._clock = clock
        self._lengths = lengths_of(spec.workload)
        self._machine = machine()
        self._servers = Servers(host, clock)
        self._doing = Doing()
        self._loads = LoadProcesses()
        self._numbers = itertools.count(1 + (len(list(folder.glob("*"))) if folder.is_dir() else 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loads.close()
        self._servers.close()

    @property
    def place(self) -> Place:
        """This machine."""
        return Place(self._engine.version, self._host.driver)

    @property
    def slots(self) -> int:
        """As many as the devices hold."""
        return self._host.slots

    def has_room(self, running: Sequence[Configuration]) -> bool:
        """Whether the devices hold another one."""
        return self._host.has_room(running)

    @property
    def most_repeats(self) -> int:
        """As many as the job allows."""
        return self._spec.measuring.repeats

    @property
    def in_real_time(self) -> bool:
        """Measuring takes its time."""
        return True

    @property
    def expected(self) -> Expected:
        """The whole load, and a start as long as such engines take."""
        start = _QUICK_START_SECONDS if self._spec.hardware.gpu == (PROCESSOR,) else Expected().start_seconds
        return Expected(start, self._spec.measuring.seconds)

    def check(self) -> None:
        """Raises `SpecError` for an objective that cannot be measured here."""
        needs_energy = [o.value for o in self._spec.objectives if METRICS[o.metric].kind in (Kind.ENERGY, Kind.CARBON)]
        needs_energy += [key for key in self._spec.constraints if METRICS[key].kind in (Kind.ENERGY, Kind.POWER)]
        reason = self._host.no_energy() if needs_energy else None
        if reason is not None:
            kept = ", ".join(o.value for o in self._spec.objectives if o is not Objective.ENERGY)
            raise SpecError.of(
                "objectives", f"{needs_energy[0]} cannot be measured here: {reason}; or say objectives: [{kept}]"
            )

    def illegal(self, configuration: Configuration) -> str | None:
        """Why the configuration cannot be measured here, with the mend; `None` when it can."""
        return self._host.refused(configuration) or self._engine.illegal(configuration)

    def doing(self) -> str | None:
        """Whether the measurements in flight wait for devices, start an engine (and how far that is) or load it."""
        return self._doing.words()

    def measure(self, configuration: Configuration, repeat: int, cancelled: Callable[[], bool]) -> Measurement:  # noqa: ARG002
        """One measurement; a configuration that does not run gives a failure with the end of its log."""
        folder = self._folder / f"{next(self._numbers):04d}"
        folder.mkdir(parents=True, exist_ok=True)
        details: dict[str, object] = {"machine": self._machine, "started_at": time.time(), "folder": str(folder)}
        details |= {"driver": self._host.driver} if self._host.driver else {}
        try:
            with self._doing.one() as stage:
                return self._measured(configuration, folder, details, stage, cancelled)
        except (StartCancelledError, CancelledLoadError, TakeCancelledError):
            return _failed(FailureKind.LOST, "cancelled while it was measured", details)
        except EngineFailedError as error:
            return Measurement(failure=error.failure, details=details, log_tail=error.log_tail or None)
        except (BuildError, PowerRefusedError) as error:
            return _failed(FailureKind.UNSUPPORTED, str(error), details)
        except TooFewGpusError as error:
            if self._host.is_empty():
                raise
            return _failed(FailureKind.LOST, str(error), details)
        except PowerError as error:
            return _failed(FailureKind.LOST, str(error), details)

    def _measured(
        self,
        configuration: Configuration,
        folder: Path,
        details: dict[str, object],
        stage: Stage,
        cancelled: Callable[[], bool],
    ) -> Measurement:
        stage.at = "waiting for devices"
        if self._spec.measuring.tool is MeasuringTool.TRTLLM_BENCH:
            return self._offline(configuration, folder, details, stage, cancelled)

        def start(devices: tuple[str, ...]) -> Started:
            return self._ready(configuration, folder, devices, details, stage, cancelled)

        with self._servers.lent(configuration, start, cancelled) as server:
            details |= {
                "start_seconds": server.started.start_seconds if server.is_new else 0.0,
                "waited_seconds": server.waited_seconds if server.is_new else 0.0,
                "engine": server.running.facts(),
                "devices": list(server.devices),
                "measured_beside": self._servers.busy - 1,
            }
            stage.at = "measuring"
            with self._host.powered(server.devices, configuration):
                found = self._loaded(server, configuration, folder, details, cancelled)
        details |= found.details() | {"window_seconds": found.load_seconds, "steady_seconds": found.window_seconds}
        return measurement_of(self._spec, self._lengths, configuration, found, details)

    def _offline(
        self,
        configuration: Configuration,
        folder: Path,
        details: dict[str, object],
        stage: Stage,
        cancelled: Callable[[], bool],
    ) -> Measurement:
        """A measurement by the engine's own tool, which starts the engine itself."""
        with self._host.taken(configuration, cancelled) as devices, self._host.powered(devices, configuration):
            details["devices"] = list(devices)
            stage.at = "running trtllm-bench"
            return measured_offline(self._spec, self._engine, configuration, folder, details, cancelled, devices)

    def _ready(
        self,
        configuration: Configuration,
        folder: Path,
        devices: tuple[str, ...],
        details: dict[str, object],
        stage: Stage,
        cancelled: Callable[[], bool],
    ) -> Started:
        """A new server for the configuration on the devices."""
        stage.at = "building"
        details["busy_share_before"] = busy_share()
        began = self._clock()
        artefact = self._engine.build(configuration, cancelled, devices)
        launch = Launch(
            configuration,
            artefact,
            self._lengths.sequence_max,
            folder,
            devices,
            shares_prefixes=self._spec.workload.shared_prefix > 0,
            start_timeout_seconds=self._spec.measuring.start_timeout_seconds,
        )
        running = self._engine.start(launch)
        stage.at = partial(start_of, running)
        try:
            address = running.wait_ready(cancelled)
        except BaseException:
            with suppress(Exception):
                running.stop()
            raise
        return Started(running, Endpoint(address.base_url, address.model), self._clock() - began)

    def _loaded(
        self,
        server: Server,
        configuration: Configuration,
        folder: Path,
        details: dict[str, object],
        cancelled: Callable[[], bool],
    ) -> LoadResult:
        """The load of a server; raises `EngineFailedError` with the end of its log, `CancelledLoadError`."""
        load = load_of(self._spec.workload, self._arrivals(configuration), self._spec.seed)
        energy = server.energy
        with nullcontext() if energy is None else energy.metered() as meter:
            try:
                found = self._loads.measure_load(
                    server.started.endpoint,
                    load,
                    plan_of(self._spec, configuration, 0.0 if energy is None else energy.shortest_window_seconds),
                    alive=lambda: server.running.failure() or failure_of(meter),
                    cancelled=cancelled,
                    meter=meter,
                    records_path=folder / RECORDS,
                )
            except CancelledLoadError:
                raise
            except LoadError as error:
                raise _broken(error, server, details) from error
            if meter is not None:
                details["power"] = power_details(meter, found.windows)
        return found

    def _arrivals(self, configuration: Configuration) -> Arrivals:
        """What one replica is loaded with."""
        workload = self._spec.workload
        if workload.request_rate is not None:
            burstiness = None if workload.burstiness == "constant" else workload.burstiness
            return Open(workload.request_rate / configuration.replicas, burstiness)
        if not workload.is_open:
            return Closed(configuration.concurrency)
        moments = [request.arrival_seconds or 0.0 for request in trace_of(workload)]
        return Replayed(tuple(moments[:: configuration.replicas]))


def _broken(error: LoadError, server: Server, details: dict[str, object]) -> EngineFailedError:
    """The failure of a load, with the end of the engine's log."""
    tail = server.running.log_tail()
    ended = server.running.failure()
    if ended is not None:
        return EngineFailedError(ended, tail)
    if isinstance(error, LostEngineError):
        return EngineFailedError(error.failure, tail)
    kind = FailureKind.LOAD_FAILED
    if isinstance(error, OverloadError):
        kind = FailureKind.TOO_SLOW
    elif isinstance(error, SlowClientError | ClientDiedError):
        kind = FailureKind.LOST
    if isinstance(error, BrokenLoadError):
        details["errors"] = {name.value: count for name, count in error.errors.items()}
    return EngineFailedError(Failure(kind, str(error)), tail)


def _failed(kind: FailureKind, detail: str, details: dict[str, object]) -> Measurement:
    return Measurement(failure=Failure(kind, detail), details=details)


@contextmanager
def opened(spec: JobSpec, workshop: Workshop) -> Iterator[tuple[Engine, EngineSource]]:
    """The engine of a job and its measurements; what an earlier paretune left running is ended first.

    Raises `SpecError` for an engine, a model, an objective or GPUs that cannot be measured here, `PowerError` where no
    GPU can be used at all.
    """
    sweep(ledger_of(workshop.data_dir))
    engine = open_engine(
        spec.engine[0].value,
        spec.model,
        workshop.data_dir,
        spec.command,
        tensorrt_llm=workshop.tensorrt_llm,
        artefacts=workshop.artefacts,
    )
    with _host_of(spec, workshop) as host, EngineSource(spec, engine, workshop.folder, host) as source:
        source.check()
        yield engine, source


def _host_of(spec: JobSpec, workshop: Workshop) -> AbstractContextManager[Host]:
    if spec.hardware.gpu == (PROCESSOR,):
        return nullcontext(ProcessorHost(workshop.machine_folder))
    return open_gpu_host(spec, workshop)
