"""Says what is wrong with a spec in our words: the field, what it holds, and the mend."""

import difflib
from collections.abc import Iterable
from typing import Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from tuner.errors import SpecProblem


def near(word: str, known: Iterable[str], count: int = 3) -> str:
    """A phrase that names the known words most like `word`, or all of them when none is and they are few."""
    names = sorted(known)
    folded = {name.lower(): name for name in names}
    matches = difflib.get_close_matches(word.lower(), folded, n=count, cutoff=0.5)
    if matches:
        return "did you mean " + " or ".join(folded[match] for match in matches) + "?"
    return "known: " + ", ".join(names if len(names) <= 24 else [*names[:24], "…"])


_UNION_TAGS: Final = {
    "input_tokens": {"number", "distribution", "trace"},
    "output_tokens": {"number", "distribution", "trace"},
    "concurrency": {"number", "auto"},
    "burstiness": {"number", "constant"},
    "gpu_hour_usd": {"float", "dict[str,float]"},
}
_SCALAR_TAGS: Final = frozenset({"bool", "int", "float", "str"})


def problems_of(errors: Iterable[ErrorDetails], model: type[BaseModel]) -> list[SpecProblem]:
    """One problem per wrong field of the errors that pydantic found in a model, in our words."""
    problems: dict[str, SpecProblem] = {}
    for error in errors:
        path = _field_path([str(part) for part in error["loc"]])
        field = ".".join(path)
        problems.setdefault(field, SpecProblem(field, _message(error, path, model)))
    return list(problems.values())


def _field_path(location: list[str]) -> list[str]:
    """The location without places in a list (the message has the value) and pydantic's names of a union's members."""
    path: list[str] = []
    previous = ""
    for part in location:
        is_tag = part in _UNION_TAGS.get(previous, ()) or (previous.isdigit() and part in _SCALAR_TAGS)
        if not is_tag and not part.isdigit():
            path.append(part)
        previous = "" if is_tag else part
    return path


def _message(error: ErrorDetails, location: list[str], model: type[BaseModel]) -> str:
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return f"unknown field; {near(location[-1], _fields_at(location[:-1], model))}"
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return f"must be a mapping of fields (given: {given!r})"
    if kind == "missing":
        return "is missing; give it"
    if kind == "enum":
        return f"{given!r} is not known; use {error.get('ctx', {}).get('expected', '')}"
    if kind == "literal_error" and location[-1:] == ["concurrency"]:
        return f"must be auto or a whole number of requests (given: {given!r})"
    if kind == "literal_error" and location[-1:] == ["burstiness"]:
        return f"must be constant or a number above 0 (given: {given!r})"
    if kind == "string_type":
        return f"must be a name (given: {given!r})"
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return message
    message = message[0].lower() + message[1:]
    return f"{message} (given: {given!r})" if isinstance(given, str | int | float | bool | None) else message


def _fields_at(location: list[str], model: type[BaseModel]) -> list[str]:
    """The names of the fields where the location leads; those of the parts of a union are put together."""
    models = [model]
    for part in location:
        inside = [found for known in models if part in known.model_fields for found in _models(known, part)]
        models = inside or models
    return [name for known in models for name in known.model_fields]


def _models(model: type[BaseModel], field: str) -> list[type[BaseModel]]:
    """The models that the annotation of a field names, at any depth."""
    open_types: list[object] = [model.model_fields[field].annotation]
    found: list[type[BaseModel]] = []
    while open_types:
        kind = open_types.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found.append(kind)
        open_types += get_args(kind)
    return found
