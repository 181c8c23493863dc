"""Measures configurations on real engines: build, start, wait, load, stop; every failure gets its name."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tuner.configuration import Configuration
from tuner.economics.cost import Tokens, with_economics
from tuner.engines.base import Engine, Launch, RunningEngine
from tuner.engines.errors import BuildError, EngineFailedError, StartCancelledError
from tuner.engines.registry import open_engine
from tuner.engines.served import ledger_of
from tuner.engines.sweeper import sweep
from tuner.errors import SpecError
from tuner.evaluators.energy import MachineMeter
from tuner.evaluators.machine import busy_share, machine
from tuner.evaluators.offline import measured_offline
from tuner.evaluators.source import Expected, Place, Workshop
from tuner.load.arrivals import Arrivals, Closed, Open, Replayed
from tuner.load.endpoint import Endpoint
from tuner.load.errors import (
    BrokenLoadError,
    CancelledLoadError,
    LoadError,
    LostEngineError,
    OverloadError,
    SlowClientError,
)
from tuner.load.measure import measure_load
from tuner.load.plan import OUTPUT_RATE, Plan
from tuner.load.result import LoadResult
from tuner.load.windows import Meter
from tuner.load.workload import load_of
from tuner.metrics import METRICS, Kind, Objective, Provenance
from tuner.space.lengths import lengths_of, trace_of
from tuner.spec import JobSpec, MeasuringTool
from tuner.trial import Failure, FailureKind, Interval, Measurement

_COSTS: Final = ("cost_usd_per_million_output_tokens", "cost_usd_per_million_tokens")
_RATE: Final = "output_tokens_per_second_per_gpu"
_OF_ALL_REPLICAS: Final = ("requests_per_second", "goodput_requests_per_second")
_GOODPUT: Final = {"ttft": "ttft_ms", "tpot": "tpot_ms", "request_latency": "request_latency_ms"}
_PROCESSOR: Final = "cpu"
"""The `gpu` of a machine without one."""
_QUICK_START_SECONDS: Final = 5.0
"""A small model on a processor is up within seconds."""
RECORDS: Final = "requests.jsonl.gz"


@dataclass(slots=True)
class _Up:
    """A server that runs, and the configuration it was started with (whatever its load)."""

    configuration: Configuration
    running: RunningEngine
    endpoint: Endpoint
    start_seconds: float


class EngineSource:
    """Measures a job's configurations on one engine of this machine, one after the other.

    A context manager: leaving it ends the server that is still up. A server is kept while only the load changes.
    `folder`: where logs and requests' records go, one folder a measurement. `meter`: of the whole machine's energy.
    """

    def __init__(
        self,
        spec: JobSpec,
        engine: Engine,
        folder: Path,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec, self._engine, self._folder = spec, engine, folder
        self._meter, self._clock = meter, clock
        self._lengths = lengths_of(spec.workload)
        self._machine = machine()
        self._up: _Up | None = None
        self._begun = len(list(folder.glob("*"))) if folder.is_dir() else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def place(self) -> Place:
        """This machine."""
        return Place(self._engine.version)

    @property
    def slots(self) -> int:
        """Engines on one processor would disturb each other."""
        return 1

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
        start = _QUICK_START_SECONDS if self._spec.hardware.gpu == (_PROCESSOR,) else Expected().start_seconds
        return Expected(start, self._spec.measuring.seconds)

    def check(self) -> None:
        """Raises `SpecError` for an objective that cannot be measured here."""
        needs_energy = [o.value for o in self._spec.objectives if METRICS[o.metric].kind in (Kind.ENERGY, Kind.CARBON)]
        needs_energy += [key for key in self._spec.constraints if METRICS[key].kind in (Kind.ENERGY, Kind.POWER)]
        if needs_energy and (self._meter is None or self._meter.read() is None):
            kept = ", ".join(o.value for o in self._spec.objectives if o is not Objective.ENERGY)
            raise SpecError.of(
                "objectives",
                f"{needs_energy[0]} cannot be measured here: no energy counter can be read (NVML, or RAPL in "
                f"/sys/class/powercap, which needs root); leave it out: objectives: [{kept}]",
            )

    def measure(self, configuration: Configuration, repeat: int, cancelled: Callable[[], bool]) -> Measurement:  # noqa: ARG002
        """One measurement; a configuration that does not run gives a failure with the end of its log."""
        self._begun += 1
        folder = self._folder / f"{self._begun:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        details: dict[str, object] = {"machine": self._machine, "started_at": time.time(), "folder": str(folder)}
        try:
            return self._measured(configuration, folder, details, cancelled)
        except (StartCancelledError, CancelledLoadError):
            self._stop()
            return _failed(FailureKind.LOST, "cancelled while it was measured", details)
        except EngineFailedError as error:
            self._stop()
            return Measurement(failure=error.failure, details=details, log_tail=error.log_tail or None)
        except BuildError as error:
            return _failed(FailureKind.UNSUPPORTED, str(error), details)
        except LoadError as error:
            return self._broken(error, details)

    def _measured(
        self, configuration: Configuration, folder: Path, details: dict[str, object], cancelled: Callable[[], bool]
    ) -> Measurement:
        if self._spec.measuring.tool is MeasuringTool.TRTLLM_BENCH:
            return measured_offline(self._spec, self._engine, configuration, folder, details, cancelled)
        up = self._ready(configuration, folder, details, cancelled)
        found = self._loaded(up, configuration, folder, cancelled)
        details |= found.details() | {"window_seconds": found.load_seconds, "steady_seconds": found.window_seconds}
        return self._measurement(configuration, found, details)

    def _ready(
        self, configuration: Configuration, folder: Path, details: dict[str, object], cancelled: Callable[[], bool]
    ) -> _Up:
        """A server for the configuration: the one that is up where only the load differs, or a new one."""
        up = self._up
        if up is not None and _server_of(up.configuration) == _server_of(configuration) and not up.running.failure():
            details |= {"start_seconds": 0.0, "engine": up.running.facts()}
            return up
        self._stop()
        details["busy_share_before"] = busy_share()
        began = self._clock()
        artefact = self._engine.build(configuration, cancelled)
        launch = Launch(
            configuration,
            artefact,
            self._lengths.sequence_max,
            folder,
            shares_prefixes=self._spec.workload.shared_prefix > 0,
            start_timeout_seconds=self._spec.measuring.start_timeout_seconds,
        )
        running = self._engine.start(launch)
        try:
            address = running.wait_ready(cancelled)
        except BaseException:
            with suppress(Exception):
                running.stop()
            raise
        took = self._clock() - began
        self._up = _Up(configuration, running, Endpoint(address.base_url, address.model), took)
        details |= {"start_seconds": took, "engine": running.facts()}
        return self._up

    def _loaded(self, up: _Up, configuration: Configuration, folder: Path, cancelled: Callable[[], bool]) -> LoadResult:
        load = load_of(self._spec.workload, self._arrivals(configuration), self._spec.seed)
        return measure_load(
            up.endpoint,
            load,
            self._plan(configuration),
            alive=up.running.failure,
            cancelled=cancelled,
            meter=self._meter,
            records_path=folder / RECORDS,
        )

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

    def _plan(self, configuration: Configuration) -> Plan:
        measuring = self._spec.measuring
        wanted = dict.fromkeys(_measured_metric(objective.metric) for objective in self._spec.objectives)
        return Plan(
            seconds=measuring.seconds,
            precision=measuring.precision,
            wanted=tuple(wanted),
            goodput_limits=_goodput_limits(self._spec.constraints),
            gpus=configuration.gpus_per_replica,
        )

    def _measurement(self, configuration: Configuration, found: LoadResult, details: dict[str, object]) -> Measurement:
        metrics = dict(found.metrics)
        intervals = {key: (low, high) for key, (low, high) in found.intervals.items()}
        for key in _OF_ALL_REPLICAS:
            if key in metrics:
                metrics[key] *= configuration.replicas
                if key in intervals:
                    intervals[key] = (
                        intervals[key][0] * configuration.replicas,
                        intervals[key][1] * configuration.replicas,
                    )
        measured = Measurement(metrics, dict.fromkeys(metrics, Provenance.MEASURED), details=details)
        tokens = Tokens(self._lengths.input_mean, self._lengths.output_mean)
        priced = with_economics(measured, configuration.gpu, tokens, self._spec.pricing)
        return replace(priced, intervals=intervals | _cost_intervals(priced.metrics, intervals))

    def _broken(self, error: LoadError, details: dict[str, object]) -> Measurement:
        """The failure of a load, with the end of the engine's log; the server is not used again."""
        up = self._up
        tail = up.running.log_tail() if up is not None else None
        ended = up.running.failure() if up is not None else None
        self._stop()
        if ended is not None:
            return Measurement(failure=ended, details=details, log_tail=tail)
        kind = FailureKind.LOAD_FAILED
        if isinstance(error, LostEngineError):
            kind = FailureKind.CRASHED
        elif isinstance(error, OverloadError):
            kind = FailureKind.TOO_SLOW
        elif isinstance(error, SlowClientError):
            kind = FailureKind.LOST
        if isinstance(error, BrokenLoadError):
            details["errors"] = {name.value: count for name, count in error.errors.items()}
        return Measurement(failure=Failure(kind, str(error)), details=details, log_tail=tail)

    def _stop(self) -> None:
        up, self._up = self._up, None
        if up is not None:
            up.running.stop()


def _failed(kind: FailureKind, detail: str, details: Mapping[str, object]) -> Measurement:
    return Measurement(failure=Failure(kind, detail), details=details)


def _server_of(configuration: Configuration) -> Configuration:
    """The configuration but for what the client alone decides; slots that follow the load keep their number."""
    slots = configuration.max_batch_size or configuration.concurrency
    return replace(configuration, concurrency=1, replicas=1, max_batch_size=slots)


def _measured_metric(metric: str) -> str:
    """The figure of a load that a metric follows from by arithmetic."""
    kind = METRICS[metric].kind
    return OUTPUT_RATE if kind in (Kind.COST, Kind.ENERGY, Kind.CARBON) else metric


def _goodput_limits(constraints: Mapping[str, float]) -> dict[str, float]:
    """The tightest bound on each latency, whatever its statistic (ms)."""
    found: dict[str, float] = {}
    for key, bound in constraints.items():
        name = _GOODPUT.get(key.removesuffix("_ms").rpartition("_")[0])
        if name is not None and key.endswith("_ms"):
            found[name] = min(bound, found.get(name, bound))
    return found


def _cost_intervals(metrics: Mapping[str, float], intervals: Mapping[str, Interval]) -> dict[str, Interval]:
    """The intervals of the costs, which go with the inverse of the token rate."""
    rate = metrics.get(_RATE)
    if rate is None or _RATE not in intervals:
        return {}
    low, high = intervals[_RATE]
    if low <= 0:
        return {}
    return {key: (metrics[key] * rate / high, metrics[key] * rate / low) for key in _COSTS if key in metrics}


@contextmanager
def opened(spec: JobSpec, workshop: Workshop) -> Iterator[tuple[Engine, EngineSource]]:
    """The engine of a job and its measurements; what an earlier paretune left running is ended first.

    Raises `SpecError` for an engine, a model or an objective that cannot be measured here.
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
    meter = MachineMeter() if spec.hardware.gpu == (_PROCESSOR,) else None
    with EngineSource(spec, engine, workshop.folder, meter) as source:
        source.check()
        yield engine, source
