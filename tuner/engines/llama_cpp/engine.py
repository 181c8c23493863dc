"""llama.cpp as an engine: a server process per trial, on a GGUF file converted to the asked weights."""

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from tuner.configuration import Configuration
from tuner.engines.artefacts import ArtefactCache, Artefacts, content_key
from tuner.engines.asking import get_json
from tuner.engines.base import Address, Artefact, Cancelled, Launch, never
from tuner.engines.errors import BuildError, ProgramMissingError, StartCancelledError
from tuner.engines.llama_cpp import server
from tuner.engines.llama_cpp.flags import (
    UNHEARD,
    context_per_slot,
    illegal_together,
    server_flags,
    slots_of,
    weight_type,
)
from tuner.engines.llama_cpp.model import WRITTEN_TYPES, GgufModel, find_model
from tuner.engines.llama_cpp.quantise import VERSION, requantise
from tuner.engines.plan import ServerPlan
from tuner.engines.ports import free_port
from tuner.engines.running import ChoosePort
from tuner.engines.served import ServedEngine
from tuner.space.own_knobs import EngineKnob, own_knobs
from tuner.spec import Engine
from tuner.trial import Failure, FailureKind

_LIBRARY: Final = "xllamacpp"


class LlamaCppEngine(ServedEngine):
    """llama.cpp's server out of the `xllamacpp` wheel.

    `weights` may be a type that a file of the model holds as it is, or one that it can be converted to.
    """

    unheard = UNHEARD

    def __init__(
        self,
        model: str,
        data_dir: Path,
        program: tuple[str, ...] | None = None,
        artefacts: Artefacts | None = None,
        choose_port: ChoosePort = free_port,
    ) -> None:
        """`program`: a `llama-server` to use in place of the wheel's."""
        super().__init__(Engine.LLAMA_CPP.value, model, data_dir, choose_port)
        self._program = program
        kept = artefacts or Artefacts()
        self._cache = ArtefactCache(kept.folder_of(self.name, data_dir), kept.most_bytes)
        self._keys: dict[tuple[Path, int, int, str], str] = {}

    @property
    def version(self) -> str:
        """The version of the wheel; `unknown` without it."""
        try:
            return importlib.metadata.version(_LIBRARY)
        except importlib.metadata.PackageNotFoundError:
            return "unknown"

    @property
    def knobs(self) -> tuple[EngineKnob, ...]:
        """The knobs it understands."""
        return own_knobs(self.name, cpus=os.cpu_count() or 1)

    @property
    def start_timeout_seconds(self) -> float:
        """Longest start, unless the launch says otherwise."""
        return 300.0

    @cached_property
    def model(self) -> GgufModel:
        """The model's files; raises `SpecError` when there are none."""
        return find_model(self._model)

    def illegal_together(self, configuration: Configuration) -> str | None:
        """Rules that llama.cpp holds its parameters to, some of them by changing a value in silence."""
        if weight_type(configuration) not in (*WRITTEN_TYPES, *self.model.types):
            held, written = ", ".join(self.model.types), ", ".join(WRITTEN_TYPES)
            return f"weights {configuration.weights!r} are neither the model's own ({held}) nor {written}"
        return illegal_together(configuration)

    def build(
        self,
        configuration: Configuration,
        cancelled: Cancelled = never,
        devices: tuple[str, ...] = (),  # noqa: ARG002
    ) -> Artefact:
        """The model's file with the asked weights: its own, or one that is converted once and kept.

        Raises `SpecError` when the model cannot be found, `BuildError` when it cannot be converted,
        `StartCancelledError` when asked to stop.
        """
        if cancelled():
            raise StartCancelledError("the conversion was called off")
        weights = weight_type(configuration)
        own = self.model.file_of(weights)
        if own is not None:
            return Artefact(own, own.stat().st_size)
        if weights not in WRITTEN_TYPES:
            raise BuildError(f"nothing here writes {weights}; use {', '.join(WRITTEN_TYPES)}")
        source = self.model.finest
        key = self._key(source, weights)
        return self._cache.get(key, ".gguf", lambda part: requantise(source, part, weights, cancelled), cancelled)

    def plan(self, launch: Launch) -> ServerPlan:
        """The server of a launch; raises `ProgramMissingError` without the wheel."""
        program = self._program or program_of_wheel()
        return ServerPlan(
            engine=self.name,
            model=self._model,
            arguments=lambda port: (*program, *server_flags(self._model, launch, port)),
            folder=launch.folder,
            artefact=launch.artefact,
            start_timeout_seconds=self.start_timeout(launch),
            patterns=self.failure_patterns,
            installed_version=self.version,
            devices=launch.devices,
            metrics_path="/metrics",
            check=lambda address: _slots_missing(address, slots_of(launch.configuration), launch.sequence_tokens),
        )

    def _key(self, source: Path, weights: str) -> str:
        """The content key, worked out once for a file that does not change."""
        seen = source.stat()
        known = (source, seen.st_size, seen.st_mtime_ns, weights)
        if known not in self._keys:
            self._keys[known] = content_key(source, weights, VERSION)
        return self._keys[known]


def program_of_wheel() -> tuple[str, ...]:
    """The words that start the wheel's server, before its flags; raises `ProgramMissingError` without the wheel."""
    if importlib.util.find_spec(_LIBRARY) is None:
        raise ProgramMissingError("llama.cpp's server is not installed here; install paretune[cpu]")
    return sys.executable, "-I", str(Path(server.__file__))


def _slots_missing(address: Address, slots: int, sequence_tokens: int) -> Failure | None:
    """What the server did not take as asked: it rounds and caps its context in silence."""
    told = get_json(address, "/slots")
    contexts = [slot.get("n_ctx") for slot in told if isinstance(slot, Mapping)] if isinstance(told, list) else []
    if len(contexts) != slots:
        return Failure(FailureKind.UNSUPPORTED, f"the server runs {len(contexts)} slots in place of {slots}")
    short = [context for context in contexts if not isinstance(context, int) or context < sequence_tokens]
    if short:
        needed = context_per_slot(sequence_tokens)
        detail = (
            f"a slot holds {short[0]} tokens in place of {needed}: the model's longest context; shorten the requests"
        )
        return Failure(FailureKind.UNSUPPORTED, detail)
    return None
