"""Finds the model that a measured table means: other owners, precisions and tunings in the name are looked through."""

import re
from functools import cache

from tuner.errors import SpecError
from tuner.space.models import ModelShape, known_models, model_shape

_PRECISION = re.compile(r"-(NVFP4|FP4|FP8|BF16|MXFP4|INT4|AWQ|W4A16|Dynamic)(-v\d+)?$", re.IGNORECASE)
_TUNING = re.compile(r"-(Instruct|Thinking|Base|it|Chat|\d{4})$", re.IGNORECASE)


def find_model(name: str) -> ModelShape | None:
    """The shape of a model by its exact name, else by what is left of the name; `None` where nothing is alike."""
    try:
        return model_shape(name)
    except SpecError:
        found = next((_by_bare_name()[bare] for bare in bare_names(name) if bare in _by_bare_name()), None)
    return None if found is None else model_shape(found)


def bare_names(name: str) -> list[str]:
    """The name without its owner, without its precision, then without its tuning; lower case, most exact first."""
    bare = name.rsplit("/", 1)[-1]
    names = [bare]
    for pattern in (_PRECISION, _TUNING):
        while (shorter := pattern.sub("", bare)) != bare:
            bare = shorter
            names.append(bare)
    return [found.lower().removeprefix("meta-") for found in names]


@cache
def _by_bare_name() -> dict[str, str]:
    found: dict[str, str] = {}
    for known in known_models():
        found.setdefault(bare_names(known)[0], known)
    for known in known_models():
        found.setdefault(bare_names(known)[-1], known)
    return found
