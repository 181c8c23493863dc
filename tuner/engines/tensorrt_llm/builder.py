"""Makes what TensorRT-LLM starts from, once: quantised checkpoints, and engines of the legacy TensorRT backend."""

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuner.configuration import Configuration
from tuner.engines.artefact_keys import folder_key, text_key
from tuner.engines.artefacts import ArtefactCache
from tuner.engines.base import Artefact, Cancelled
from tuner.engines.build_step import BuildStep, run_step
from tuner.engines.errors import BuildError
from tuner.engines.failure_texts import FAILURE_PATTERNS
from tuner.engines.records import Ledger
from tuner.engines.tensorrt_llm.checkpoints import Checkpoint, identity, shape_of
from tuner.engines.tensorrt_llm.installation import BUILD, PYTHON, Container, Installation
from tuner.engines.tensorrt_llm.quantise import build_arguments, convert_arguments, engine_parts, quantise_arguments
from tuner.spec import Engine

VERSION: Final = "1"
"""Of how checkpoints are made: another one is another artefact."""

NO_QUANTISER: Final = (
    "set PARETUNE_TRTLLM_QUANTISER to Model Optimizer's examples/llm_ptq/hf_ptq.py in TensorRT-LLM's environment"
)
NO_EXAMPLES: Final = "set PARETUNE_TRTLLM_EXAMPLES to TensorRT-LLM's examples folder in its environment"


@dataclass(frozen=True, slots=True)
class Making:
    """How one build runs: who calls it off, and ids of the GPUs that it may use; empty for all."""

    cancelled: Cancelled
    devices: tuple[str, ...] = ()


class Builder:
    """Runs TensorRT-LLM's own programs, and keeps what they make; logs of builds stay beside the artefacts."""

    def __init__(self, installation: Installation, cache: ArtefactCache, ledger: Ledger) -> None:
        self._installation = installation
        self._cache = cache
        self._ledger = ledger
        self._keys: dict[Path, str] = {}

    def checkpoint(self, wanted: Checkpoint, making: Making) -> Artefact:
        """The checkpoint, quantised once where it has to be made.

        Raises `BuildError` when it cannot be made, `StartCancelledError` when asked to stop.
        """
        if not wanted.must_be_made:
            return Artefact(wanted.source) if isinstance(wanted.source, Path) else Artefact(None)
        script = self._installation.quantiser
        if script is None:
            raise BuildError(f"{wanted.weights} weights have to be made; {NO_QUANTISER}")
        key = self._key(wanted.source, "ptq", wanted.weights, VERSION)

        def make(part: Path) -> None:
            words = quantise_arguments(script, wanted.source, wanted.weights, part)
            self._run(f"quantising to {wanted.weights}", PYTHON, words, key, (wanted.source, part), making)
            if not (part / "config.json").is_file():
                raise BuildError(
                    f"quantising to {wanted.weights} wrote no checkpoint; its log: {self._log(key, PYTHON)}"
                )

        return self._cache.get(key, f".{wanted.weights}", make, making.cancelled)

    def engine(self, wanted: Checkpoint, configuration: Configuration, version: str, making: Making) -> Artefact:
        """An engine of the TensorRT backend, built once for its build-time knobs; raises as `checkpoint` does."""
        examples = self._installation.examples
        if examples is None:
            raise BuildError(f"the TensorRT backend converts checkpoints by TensorRT-LLM's scripts; {NO_EXAMPLES}")
        shape = shape_of(str(wanted.source))
        architecture = "unknown" if shape is None else shape.architecture
        key = self._key(wanted.source, "engine", version, *engine_parts(configuration), VERSION)

        def make(part: Path) -> None:
            converted = part / "checkpoint"
            part.mkdir(parents=True)
            words = convert_arguments(examples, wanted.source, architecture, configuration, converted)
            self._run("converting the checkpoint", PYTHON, words, key, (wanted.source, part), making)
            engine = part / "engine"
            self._run("trtllm-build", BUILD, build_arguments(converted, configuration, engine), key, (part,), making)
            shutil.rmtree(converted, ignore_errors=True)
            if not (engine / "config.json").is_file():
                raise BuildError(f"trtllm-build wrote no engine; its log: {self._log(key, BUILD)}")

        return self._cache.get(key, ".engine", make, making.cancelled)

    def _run(
        self,
        what: str,
        program: str,
        arguments: tuple[str, ...],
        key: str,
        paths: tuple[Path | str, ...],
        making: Making,
    ) -> None:
        folders = tuple(path for path in paths if isinstance(path, Path))
        # the target is made by the program, so that its folder is what a container sees
        seen = tuple(path if path.is_dir() else path.parent for path in folders)
        container = Container(f"paretune-build-{uuid.uuid4().hex[:12]}", making.devices, seen)
        step = BuildStep(
            what=what,
            arguments=self._installation.words(program, arguments, container),
            log=self._log(key, program),
            devices=making.devices,
            stop=self._installation.stop_words(container),
            patterns=FAILURE_PATTERNS[Engine.TENSORRT_LLM.value],
        )
        run_step(step, self._ledger, making.cancelled)

    def _log(self, key: str, program: str) -> Path:
        return self._cache.folder / "logs" / f"{key}.{program}.log"

    def _key(self, source: Path | str, *parts: str) -> str:
        if isinstance(source, str):
            return text_key(source, identity(source) or "any commit", *parts)
        if source not in self._keys:
            self._keys[source] = folder_key(source)
        return text_key(self._keys[source], *parts)
