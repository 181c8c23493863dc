"""Whether an engine understands the knobs of a configuration, each by itself; nothing is started to tell."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Final

from tuner.configuration import Configuration
from tuner.space.own_knobs import EngineKnob
from tuner.spec_problems import near

_NOT_THE_ENGINES: Final = frozenset({"engine", "gpu", "replicas", "concurrency", "power_limit_watts", "gpu_clock_mhz"})
"""Common knobs that say what the deployment, the load or the device is set to."""
_PLAIN: Final[Mapping[str, object]] = {field.name: field.default for field in fields(Configuration)}


def refused_knob(
    engine: str, knobs: Sequence[EngineKnob], configuration: Configuration, unheard: Collection[str] = ()
) -> str | None:
    """Why the engine does not take one of the knobs, with the mend; `None` when it takes each.

    `unheard`: common knobs whose default says nothing to this engine, so that it is not held against it.
    """
    known = {knob.name: knob for knob in knobs}
    for name, value in configuration.to_dict().items():
        is_plain = name in _PLAIN and value == _PLAIN[name]
        if name in _NOT_THE_ENGINES or (is_plain and (name not in known or name in unheard)):
            continue
        refused = known[name].refused(value) if name in known else f"{engine} has no {name}; {near(name, known)}"
        if refused is not None:
            return refused
    return None
