"""Compares our argument model with the class of an installed TensorRT-LLM, asked in its own environment."""

import json
from collections.abc import Iterator
from typing import Final, get_args

from pydantic import BaseModel

from tuner.engines.tensorrt_llm.installation import Installation

_SECONDS: Final = 300.0
_MARK: Final = "PARETUNE-FIELDS "
ASK: Final = f"""
import json
from typing import get_args
from pydantic import BaseModel
from tensorrt_llm.llmapi.llm_args import TorchLlmArgs
def models(kind):
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from models(part)
def fields(model, before, seen):
    for name, field in model.model_fields.items():
        yield before + name
        for inner in models(field.annotation):
            if inner not in seen:
                yield from fields(inner, before + name + ".", (*seen, inner))
print({_MARK!r} + json.dumps(sorted(set(fields(TorchLlmArgs, "", (TorchLlmArgs,))))))
"""
"""What Python is asked there: the dotted name of every field, at any level."""

_THEIRS: Final = frozenset({"build_config", "quant_config", "decoding_config", "checkpoint_loader", "batched_logits_processor"})  # fmt: skip
"""Fields that no file sets on the `pytorch` backend: objects, or what it ignores."""


def fields_there(installation: Installation) -> list[str] | None:
    """The fields of the installed class; `None` where it cannot be imported. Takes up to a minute."""
    told = installation.ask_python(ASK, "fields", _SECONDS)
    if told is None:
        return None
    line = next((line for line in told.stdout.splitlines() if line.startswith(_MARK)), None)
    return None if line is None else [str(name) for name in json.loads(line.removeprefix(_MARK))]


def differences(there: list[str], ours: type[BaseModel]) -> tuple[list[str], list[str]]:
    """Fields that we do not know, and fields that are not there; below a group that is missing, the group alone.

    A group that we do not look into is not compared below its name.
    """
    here = set(_fields(ours, "", (ours,)))
    theirs = {name for name in there if name.partition(".")[0] not in _THEIRS}
    groups = {name.rpartition(".")[0] for name in here}
    unknown = [name for name in theirs - here if _is_topmost(name, here) and _is_compared(name, groups)]
    return sorted(unknown), sorted(name for name in here - theirs if _is_topmost(name, theirs))


def _is_topmost(name: str, known: set[str]) -> bool:
    parent = name.rpartition(".")[0]
    return not parent or parent in known


def _is_compared(name: str, groups: set[str]) -> bool:
    return name.rpartition(".")[0] in groups


def _fields(model: type[BaseModel], before: str, seen: tuple[type[BaseModel], ...]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield before + name
        for inner in _models(field.annotation):
            if inner not in seen:
                yield from _fields(inner, f"{before}{name}.", (*seen, inner))


def _models(kind: object) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from _models(part)
