"""Checks an engine configuration before anything starts: fields, values and combinations, in our words."""

from collections.abc import Mapping

from pydantic import ValidationError

from tuner.engines.tensorrt_llm.arguments import TrtllmArguments
from tuner.engines.tensorrt_llm.problems import problems_of
from tuner.engines.tensorrt_llm.rules import NOWHERE, Surroundings, broken_rules
from tuner.engines.tensorrt_llm.versions import GENERATIONS
from tuner.errors import SpecError, SpecProblem
from tuner.spec_problems import near


def check_arguments(
    data: object,
    *,
    version: str = "1.2",
    surroundings: Surroundings = NOWHERE,
) -> list[SpecProblem]:
    """Every problem of an engine configuration as YAML gives it; empty when the engine takes it.

    With `surroundings` the rules that need the model, the GPU or the weights' precision are checked too. Raises
    `SpecError` when the version is not known.
    """
    model = _model_of(version)
    if not isinstance(data, Mapping):
        return [SpecProblem("", "an engine configuration is a mapping of fields; start with `tensor_parallel_size: 1`")]
    try:
        arguments = model.model_validate(dict(data))
    except ValidationError as error:
        return problems_of(model, error.errors(include_url=False), version)
    return [SpecProblem(broken.field, broken.message) for broken in broken_rules(arguments, surroundings)]


def parse_arguments(
    data: object,
    *,
    version: str = "1.2",
    surroundings: Surroundings = NOWHERE,
) -> TrtllmArguments:
    """The arguments of an engine configuration; raises `SpecError` with every problem `check_arguments` finds."""
    problems = check_arguments(data, version=version, surroundings=surroundings)
    if problems:
        raise SpecError(problems)
    return _model_of(version).model_validate(data)


def _model_of(version: str) -> type[TrtllmArguments]:
    minor = ".".join(version.split(".")[:2])
    if minor not in GENERATIONS:
        raise SpecError.of("version", f"TensorRT-LLM {version} is not known; {near(version, GENERATIONS)}")
    return GENERATIONS[minor].arguments
