"""The argument list of a command that a job spec gives, with its placeholders filled in."""

import re
from collections.abc import Mapping
from typing import Final

from tuner.configuration import KnobValue
from tuner.engines.base import Launch
from tuner.engines.ports import HOST
from tuner.spec import Command

_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
PLACES: Final = ("model", "host", "port", "sequence_tokens")
"""Placeholders that are no knobs."""


def places_of(command: Command) -> set[str]:
    """The names of every placeholder in the command's arguments."""
    return {name for word in command.arguments for name in _PLACEHOLDER.findall(word)}


def filled(command: Command, model: str, launch: Launch, port: int | str, host: str = HOST) -> tuple[str, ...]:
    """Program and arguments of a launch; raises `KeyError` for a placeholder without a value."""
    values: dict[str, KnobValue] = {
        **launch.configuration.to_dict(),
        "model": model,
        "host": host,
        "port": port,
        "sequence_tokens": launch.sequence_tokens,
    }
    return tuple(_filled(word, values) for word in command.arguments)


def _filled(word: str, values: Mapping[str, KnobValue]) -> str:
    return _PLACEHOLDER.sub(lambda found: _written(values[found.group(1)]), word)


def _written(value: KnobValue) -> str:
    """A value as command lines write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
