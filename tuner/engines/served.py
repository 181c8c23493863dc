"""What engines that are started as an OpenAI-compatible server have in common."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from tuner.configuration import Configuration
from tuner.engines.asking import get_json
from tuner.engines.base import Address, Artefact, Cancelled, Launch, never
from tuner.engines.errors import EngineFailedError, ProgramMissingError, StartCancelledError
from tuner.engines.failure_texts import FAILURE_PATTERNS
from tuner.engines.failures import FailurePattern
from tuner.engines.legality import refused_knob
from tuner.engines.plan import ServerPlan
from tuner.engines.ports import free_port
from tuner.engines.records import Ledger
from tuner.engines.running import ChoosePort, RunningServer
from tuner.space.own_knobs import EngineKnob
from tuner.trial import Failure, FailureKind

RUNS_FOLDER: Final = "runs"
"""Where in the data directory the records of running servers lie."""


def ledger_of(data_dir: Path) -> Ledger:
    """The records of the servers that were started from a data directory."""
    return Ledger(data_dir / RUNS_FOLDER)


class ServedEngine(ABC):
    """An engine whose server one command starts; an `Engine`.

    `unheard`: common knobs whose default says nothing to this engine, so that it is not held against it.
    """

    unheard: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, name: str, model: str, data_dir: Path, choose_port: ChoosePort = free_port) -> None:
        self._name = name
        self._model = model
        self._data_dir = data_dir
        self._choose_port = choose_port

    @property
    def name(self) -> str:
        """Its name in a job spec."""
        return self._name

    @property
    def version(self) -> str:
        """The version installed here; `unknown` where only a running server tells (`RunningEngine.facts`)."""
        return "unknown"

    @property
    @abstractmethod
    def knobs(self) -> tuple[EngineKnob, ...]:
        """The knobs it understands."""

    @property
    def start_timeout_seconds(self) -> float:
        """Longest start, unless the launch says otherwise."""
        return 1800.0

    @property
    def failure_patterns(self) -> tuple[FailurePattern, ...]:
        """What its log says when it fails."""
        return FAILURE_PATTERNS[self._name]

    def illegal(self, configuration: Configuration) -> str | None:
        """Why the engine would refuse this combination, with the mend; `None` when it is legal."""
        refused = refused_knob(self._name, self.knobs, configuration, self.unheard)
        return refused if refused is not None else self.illegal_together(configuration)

    def illegal_together(self, configuration: Configuration) -> str | None:  # noqa: ARG002
        """Why knobs that are legal each are not legal together, with the mend."""
        return None

    def build(
        self,
        configuration: Configuration,  # noqa: ARG002
        cancelled: Cancelled = never,
        devices: tuple[str, ...] = (),  # noqa: ARG002
    ) -> Artefact:
        """The engine loads the model by its name, or from its folder: nothing is made."""
        if cancelled():
            raise StartCancelledError(f"the build for {self._name} was called off")
        folder = Path(self._model).expanduser()
        return Artefact(folder.resolve() if folder.exists() else None)

    def start(self, launch: Launch) -> RunningServer:
        """Starts a server and returns at once.

        Raises `EngineFailedError` for an illegal combination, `EngineError` when the machine cannot run it.
        """
        refused = self.illegal(launch.configuration)
        if refused is not None:
            raise EngineFailedError(Failure(FailureKind.UNSUPPORTED, refused))
        plan = self.plan(launch)
        program = plan.arguments(0)[0]
        if shutil.which(program) is None:
            raise ProgramMissingError(self.missing(program))
        return RunningServer(plan, ledger_of(self._data_dir), self._choose_port)

    @abstractmethod
    def plan(self, launch: Launch) -> ServerPlan:
        """The server of a legal launch."""

    def missing(self, program: str) -> str:
        """What to do where the program is not installed."""
        return f"{program} is not installed here or not on PATH; install {self._name} and try again"

    def start_timeout(self, launch: Launch) -> float:
        """The launch's start timeout, or the engine's (s)."""
        return self.start_timeout_seconds if launch.start_timeout_seconds is None else launch.start_timeout_seconds


def version_at(address: Address, *paths: str) -> str | None:
    """The `version` that a server tells at the first of the paths that tells one."""
    for path in paths:
        told = get_json(address, path)
        if isinstance(told, Mapping) and isinstance(told.get("version"), str):
            return str(told["version"])
    return None
