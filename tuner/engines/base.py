"""What an engine is: it builds what a configuration is started from, and starts a server of it.

with engine.start(Launch(configuration, engine.build(configuration, cancelled, devices), …)) as running:
    address = running.wait_ready()
    …                                   # load it; running.failure() says within a second that it died
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tuner.configuration import Configuration
from tuner.engines.failures import FailurePattern
from tuner.space.own_knobs import EngineKnob
from tuner.trial import Failure

Cancelled = Callable[[], bool]
"""Asked again and again while something slow goes on; `True` makes it stop with `StartCancelledError`."""

LOG_TAIL_BYTES: Final = 64 * 1024
"""How much of the end of an engine's log goes with a trial."""


def never() -> bool:
    """Nobody cancels."""
    return False


@dataclass(frozen=True, slots=True)
class Artefact:
    """What servers are started from: a file or folder shared by configurations that differ only at run time.

    `path` is `None` where the engine loads the model by its name. `build_seconds` is `None` where nothing was made,
    now or earlier; `was_cached` says that an earlier build was taken.
    """

    path: Path | None
    size_bytes: int = 0
    build_seconds: float | None = None
    was_cached: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of an engine.

    `sequence_tokens`: the longest request, prompt and output together. `folder`: the trial's own, for the log and for
    files that the engine reads. `devices`: ids of the GPUs it may use, empty on a CPU. `shares_prefixes`: requests
    begin alike, so that reuse of earlier prompts is part of what is measured.
    """

    configuration: Configuration
    artefact: Artefact
    sequence_tokens: int
    folder: Path
    devices: tuple[str, ...] = ()
    shares_prefixes: bool = False
    start_timeout_seconds: float | None = None

    @property
    def caches_prefixes(self) -> bool:
        """Whether earlier prompts are reused: as the knob `prefix_caching` says, else where requests begin alike."""
        own = self.configuration.knob("prefix_caching")
        return self.shares_prefixes if own is None else bool(own)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server answers and the name its API knows the model by; the API is OpenAI's, below `/v1`."""

    host: str
    port: int
    model: str

    @property
    def base_url(self) -> str:
        """`http://HOST:PORT`, without the API's `/v1`."""
        return f"http://{self.host}:{self.port}"


class RunningEngine(AbstractContextManager["RunningEngine"], Protocol):
    """A started server; leaving the context ends it, its children, its port and its record."""

    @property
    def log_path(self) -> Path:
        """The whole log, standard output and error together."""

    def wait_ready(self, cancelled: Cancelled = never) -> Address:
        """Waits until the server answers on a port that is ours, with what was asked of it.

        Raises `EngineFailedError` when it does not in time or at all, `StartCancelledError` when asked to stop.
        """

    def failure(self) -> Failure | None:
        """Why the server is gone; `None` while it lives. Cheap: to be asked several times a second."""

    def metrics(self) -> Mapping[str, float]:
        """The server's own gauges and counters by name; empty where it shows none."""

    def facts(self) -> Mapping[str, object]:
        """How it was started, as plain data: engine, version, arguments, seconds until ready, artefact."""

    def log_tail(self) -> str:
        """The end of the log, at most `LOG_TAIL_BYTES`."""

    def stop(self) -> None:
        """Ends the server and everything it started; safe to call again."""


class Engine(Protocol):
    """An inference engine."""

    @property
    def name(self) -> str:
        """Its name in a job spec."""

    @property
    def version(self) -> str:
        """The version that is installed here, or `unknown`."""

    @property
    def knobs(self) -> tuple[EngineKnob, ...]:
        """The knobs it understands."""

    @property
    def start_timeout_seconds(self) -> float:
        """Longest start, unless the launch says otherwise."""

    @property
    def failure_patterns(self) -> tuple[FailurePattern, ...]:
        """What its log says when it fails."""

    def illegal(self, configuration: Configuration) -> str | None:
        """Why the engine would refuse this combination, with the mend; `None` when it is legal.

        Raises `SpecError` when the model must be looked at and cannot be found.
        """

    def build(
        self, configuration: Configuration, cancelled: Cancelled = never, devices: tuple[str, ...] = ()
    ) -> Artefact:
        """What the configuration is started from, made once and kept; `devices`: ids of the GPUs that it may be made on.

        Raises `SpecError` when the model cannot be found, `BuildError` when it cannot be converted,
        `StartCancelledError` when asked to stop.
        """

    def start(self, launch: Launch) -> RunningEngine:
        """Starts a server and returns at once.

        Raises `EngineFailedError` for an illegal combination, `EngineError` when the machine cannot run it.
        """
