"""The command that starts one replica of each engine: the engine's own argument list, in a script's words.

TensorRT-LLM takes its knobs from a YAML file. The others are told what they are told when paretune measures them; where
a script knows better than we do, the argument list is made with a mark, and the mark becomes the script's variable.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from tuner.configuration import Configuration
from tuner.engines import command_line, legality, sglang_flags, vllm_flags
from tuner.engines.base import Artefact, Launch
from tuner.engines.llama_cpp import flags as llama_cpp_flags
from tuner.engines.ports import HOST
from tuner.engines.tensorrt_llm.deployment import sequence_ceiling
from tuner.errors import ExportError
from tuner.exports.base import ExportContext, known_model, was_started, workload_lengths
from tuner.exports.checkpoint import checkpoint_of
from tuner.space.own_knobs import own_knobs
from tuner.spec import SIMULATED_ENGINES, Engine

_CHECKPOINT: Final = "\ue000checkpoint\ue000"
_HOST: Final = "\ue000host\ue000"
_PORT: Final = "\ue000port\ue000"
_PROCESSORS: Final = "\ue000processors\ue000"
_VARIABLES: Final[Mapping[str, str]] = {
    _CHECKPOINT: '"$checkpoint"',
    _HOST: '"$host"',
    _PORT: '"$port"',
    _PROCESSORS: '"$(nproc)"',
}
"""What stands in a script for each mark; a private character of Unicode keeps marks apart from any name."""
_MARKS: Final = re.compile("(" + "|".join(_VARIABLES) + ")")


def launch_words(context: ExportContext) -> list[str]:
    """The command of one replica, quoted for the shell; `$checkpoint`, `$host` and `$port` are the script's.

    Raises `ExportError` for an engine without one, or a knob it cannot be given.
    """
    engine = context.trial.configuration.engine
    if engine not in _WRITERS:
        raise ExportError(f"no script is written for engine {engine}; it is for {', '.join(_WRITERS)}")
    return _WRITERS[engine](context)


def launch_notes(context: ExportContext) -> list[str]:
    """What the head of a script says of how its engine is started."""
    is_told = context.trial.configuration.engine in (Engine.VLLM, Engine.SGLANG, Engine.LLAMA_CPP)
    if not is_told or _launch(context).caches_prefixes:
        return []
    return [
        "Prompts are not cached, as they were not when this was measured; with traffic that begins alike, cache them."
    ]


def default_host(configuration: Configuration) -> str:
    """Where a replica listens unless the user says otherwise: as it was measured, where only measuring is known."""
    return "localhost" if configuration.engine in SIMULATED_ENGINES else HOST


def _tensorrt_llm(_: ExportContext) -> list[str]:
    return ["trtllm-serve", '"$checkpoint"', "--config", '"$config"', "--host", '"$host"', "--port", '"$port"']


def _vllm(context: ExportContext) -> list[str]:
    launch = _launch(context, weights=_told_weights(context))
    refused = _refused_knob(context, launch) or vllm_flags.illegal_together(_CHECKPOINT, launch.configuration)
    _refuse(context, refused)
    return _quoted(["vllm", *vllm_flags.arguments(_CHECKPOINT, launch, _PORT, _HOST)])


def _sglang(context: ExportContext) -> list[str]:
    launch = _launch(context, weights=_told_weights(context))
    refused = _refused_knob(context, launch) or sglang_flags.illegal_together(_CHECKPOINT, launch.configuration)
    _refuse(context, refused)
    words = sglang_flags.arguments(_CHECKPOINT, launch, _PORT, _HOST)
    return _quoted(["python3", "-m", "sglang.launch_server", *words])


def _llama_cpp(context: ExportContext) -> list[str]:
    launch = _launch(context)
    refused = _refused_knob(context, launch, llama_cpp_flags.UNHEARD)
    _refuse(context, refused or llama_cpp_flags.illegal_together(launch.configuration))
    if launch.configuration.knob("threads") is None:
        options = (*launch.configuration.options, ("threads", _PROCESSORS))
        launch = replace(launch, configuration=replace(launch.configuration, options=options))
    flags = llama_cpp_flags.server_flags(context.spec.model, launch, _PORT, _HOST)
    return ['"${server[@]}"', *_quoted(flags)]


def _command(context: ExportContext) -> list[str]:
    command = context.spec.command
    if command is None:
        raise ExportError("the job does not say how its server is started; export a trial of a job with `command`")
    try:
        words = command_line.filled(command, context.spec.model, _launch(context), _PORT, _HOST)
    except KeyError as error:
        raise ExportError(f"the command needs a value of {error.args[0]}, and the trial has none") from None
    environment = [f"{name}={value}" for name, value in command.environment.items()]
    return _quoted(["env", *environment, *words] if environment else words)


def _launch(context: ExportContext, weights: str | None = None) -> Launch:
    """The launch that was measured; of one that was not, with room for a chat template, and prompts that begin alike."""
    knobs = context.trial.configuration
    longest = workload_lengths(context).sequence_max
    is_measured = was_started(context)
    return Launch(
        knobs if weights is None else replace(knobs, weights=weights),
        Artefact(Path(_CHECKPOINT)),
        longest if is_measured else sequence_ceiling(longest, known_model(context)),
        Path(),
        shares_prefixes=not is_measured or context.spec.workload.shared_prefix > 0,
    )


def _told_weights(context: ExportContext) -> str:
    """The precision that the engine is told of: a checkpoint that holds its weights needs no word."""
    checkpoint = checkpoint_of(context)
    return checkpoint.weights if checkpoint.is_quantised else "bfloat16"


def _refused_knob(context: ExportContext, launch: Launch, unheard: Iterable[str] = ()) -> str | None:
    engine = context.trial.configuration.engine
    return legality.refused_knob(engine, own_knobs(engine), launch.configuration, frozenset(unheard))


def _refuse(context: ExportContext, why: str | None) -> None:
    if why is not None:
        number = context.trial.number
        raise ExportError(f"trial {number} cannot be written for {context.trial.configuration.engine}: {why}")


def _quoted(words: Iterable[str]) -> list[str]:
    return [_quoted_word(word) for word in words]


def _quoted_word(word: str) -> str:
    """A word for the shell, its marks replaced by the script's variables."""
    parts = [_VARIABLES.get(part) or shlex.quote(part) for part in _MARKS.split(word) if part]
    return "".join(parts) or "''"


_WRITERS: Final[Mapping[str, Callable[[ExportContext], list[str]]]] = {
    Engine.TENSORRT_LLM.value: _tensorrt_llm,
    Engine.VLLM.value: _vllm,
    Engine.SGLANG.value: _sglang,
    Engine.LLAMA_CPP.value: _llama_cpp,
    Engine.COMMAND.value: _command,
}
LAUNCHED_ENGINES: Final = frozenset(_WRITERS)
"""Engines that a script can start."""
