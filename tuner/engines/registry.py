"""Opens an engine by its name in a job spec."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tuner.engines.artefacts import Artefacts
from tuner.engines.base import Engine
from tuner.engines.command import CommandEngine
from tuner.engines.llama_cpp.engine import LlamaCppEngine
from tuner.engines.ports import free_port
from tuner.engines.running import ChoosePort
from tuner.engines.sglang import SglangEngine
from tuner.engines.tensorrt_llm.engine import TensorrtLlmEngine
from tuner.engines.tensorrt_llm.installation import Installation
from tuner.engines.vllm import VllmEngine
from tuner.errors import SpecError
from tuner.spec import Command
from tuner.spec import Engine as EngineName
from tuner.spec_problems import near


@dataclass(frozen=True, slots=True)
class Opening:
    """What an engine is made of; the data directory holds its artefacts and the records of its servers.

    `tensorrt_llm`: where TensorRT-LLM is installed. `artefacts`: where its artefacts are kept, and how large.
    """

    model: str
    data_dir: Path
    command: Command | None = None
    choose_port: ChoosePort = free_port
    tensorrt_llm: Installation = field(default_factory=Installation)
    artefacts: Artefacts = field(default_factory=Artefacts)


def _command(opening: Opening) -> Engine:
    if opening.command is None:
        raise SpecError.of("command", "engine command needs to know what to start; give {arguments: [PROGRAM, …]}")
    return CommandEngine(opening.model, opening.data_dir, opening.command, opening.choose_port)


_MAKERS: Final[Mapping[str, Callable[[Opening], Engine]]] = {
    EngineName.TENSORRT_LLM.value: lambda o: TensorrtLlmEngine(
        o.model, o.data_dir, o.tensorrt_llm, o.artefacts, o.choose_port
    ),
    EngineName.LLAMA_CPP.value: lambda o: LlamaCppEngine(
        o.model, o.data_dir, artefacts=o.artefacts, choose_port=o.choose_port
    ),
    EngineName.VLLM.value: lambda o: VllmEngine(o.model, o.data_dir, choose_port=o.choose_port),
    EngineName.SGLANG.value: lambda o: SglangEngine(o.model, o.data_dir, choose_port=o.choose_port),
    EngineName.COMMAND.value: _command,
}


def open_engine(
    name: str,
    model: str,
    data_dir: Path,
    command: Command | None = None,
    choose_port: ChoosePort = free_port,
    *,
    tensorrt_llm: Installation | None = None,
    artefacts: Artefacts | None = None,
) -> Engine:
    """The engine of that name for a model; nothing is started or built.

    Raises `SpecError` for an engine that cannot be started from here, and for a wrong command.
    """
    if name not in _MAKERS:
        raise SpecError.of("engine", f"{name} cannot be measured; {near(name, _MAKERS)}")
    return _MAKERS[name](
        Opening(model, data_dir, command, choose_port, tensorrt_llm or Installation(), artefacts or Artefacts())
    )
