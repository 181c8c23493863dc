"""Engines that take every knob as a flag after their program: vLLM and SGLang."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from tuner.engines.base import Launch
from tuner.engines.plan import ServerPlan
from tuner.engines.ports import free_port
from tuner.engines.running import ChoosePort
from tuner.engines.served import ServedEngine, version_at
from tuner.space.own_knobs import EngineKnob, own_knobs
from tuner.spec import Engine


class FlaggedEngine(ServedEngine):
    """An OpenAI-compatible server of its own environment; `version_paths` tell its version once it runs."""

    engine: ClassVar[Engine]
    default_program: ClassVar[tuple[str, ...]]
    version_paths: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        model: str,
        data_dir: Path,
        program: tuple[str, ...] | None = None,
        choose_port: ChoosePort = free_port,
    ) -> None:
        """`program`: what is written before the flags, such as the interpreter of the engine's own environment."""
        super().__init__(self.engine.value, model, data_dir, choose_port)
        self._program = program or self.default_program

    @property
    def knobs(self) -> tuple[EngineKnob, ...]:
        """The knobs it understands."""
        return own_knobs(self.name)

    @abstractmethod
    def flags(self, launch: Launch, port: int) -> tuple[str, ...]:
        """What follows the program on the command line."""

    def plan(self, launch: Launch) -> ServerPlan:
        """The server of a launch."""
        return ServerPlan(
            engine=self.name,
            model=self._model,
            arguments=lambda port: (*self._program, *self.flags(launch, port)),
            folder=launch.folder,
            artefact=launch.artefact,
            start_timeout_seconds=self.start_timeout(launch),
            patterns=self.failure_patterns,
            devices=launch.devices,
            metrics_path="/metrics",
            version=lambda address: version_at(address, *self.version_paths),
        )
