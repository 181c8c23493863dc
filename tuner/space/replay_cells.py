"""Reads the cells of a replay table; what is wrong with one is named with its row and column."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Final, get_args, get_type_hints

from tuner.cells import cell
from tuner.configuration import KNOBS, Configuration, KnobValue
from tuner.errors import SpecError, SpecProblem
from tuner.metrics import Provenance
from tuner.space.own_knobs import EngineKnob, KnobKind
from tuner.spec_problems import near
from tuner.trial import Failure, FailureKind

_SWITCHES: Final = {"true": True, "false": False}


class ReplayTableError(SpecError):
    """A replay table cannot be read; the message names the row and the column, and what would be right."""

    def __init__(self, message: str | Sequence[SpecProblem]) -> None:
        super().__init__([SpecProblem("replay.table", message)] if isinstance(message, str) else message)


def failure(text: str, place: str) -> Failure:
    """The failure of a kind's name; `place` is where the cell stands, here and below."""
    known = [kind.value for kind in FailureKind]
    if text not in known:
        raise ReplayTableError(f"{place}: {text!r} is no failure kind; {near(text, known)}")
    return Failure(FailureKind(text), "as the replay table says")


def provenance(text: str, place: str) -> Provenance:
    """The provenance of its name."""
    known = [source.value for source in Provenance]
    if text not in known:
        raise ReplayTableError(f"{place}: {text!r} is no provenance; {near(text, known)}")
    return Provenance(text)


def common_knob(text: str, place: str, name: str) -> KnobValue:
    """The value of a knob that every engine may have."""
    wanted = _KNOB_TYPES[name]
    if wanted is str:
        return text
    return _switch(text, place) if wanted is bool else _count(text, place)


def own_knob(text: str, place: str, knob: EngineKnob) -> KnobValue:
    """The value of an engine's own knob, as the engine takes it."""
    match knob.kind:
        case KnobKind.SWITCH:
            return _switch(text, place)
        case KnobKind.WHOLE:
            return _count(text, place)
        case KnobKind.SHARE:
            value: KnobValue = figure(text, place, zero_is_known=False)
        case KnobKind.CHOICE:
            value = next((known for known in (*knob.values, *knob.choices) if cell(known) == text), text)
    refused = knob.refused(value)
    if refused is not None:
        raise ReplayTableError(f"{place}: {refused}")
    return value


def figure(text: str, place: str, *, zero_is_known: bool) -> float:
    """A number above 0; 0 itself where it is known to stand for a figure, and not for one that is missing."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and (value > 0 or (zero_is_known and value == 0))):
        raise ReplayTableError(f"{place}: {text!r} is no figure above 0; leave the cell empty where it is not known")
    return value


def _switch(text: str, place: str) -> bool:
    if text not in _SWITCHES:
        raise ReplayTableError(f"{place}: {text!r} is no switch; write true or false")
    return _SWITCHES[text]


def _count(text: str, place: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise ReplayTableError(f"{place}: {text!r} is no count; write a whole number from 1, no point")
    return int(text)


def _knob_types() -> dict[str, type]:
    hints = get_type_hints(Configuration)
    found = {}
    for field in fields(Configuration):
        if field.name in KNOBS:
            kinds = [kind for kind in get_args(hints[field.name]) or (hints[field.name],) if kind is not type(None)]
            found[field.name] = kinds[0]
    return found


_KNOB_TYPES: Final = _knob_types()
