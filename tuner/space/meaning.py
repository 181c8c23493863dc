"""What a spec means: its model, GPUs, engines and lengths, held against what is known of them."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tuner.economics.prices import gpu_hour_usd
from tuner.errors import SpecError, SpecProblem
from tuner.metrics import METRICS, Kind, Objective
from tuner.space.hardware import SIMULATOR_BACKENDS, Gpu, find_gpu, known_gpus, support_matrix
from tuner.space.lengths import Lengths, lengths_of, offered_rate
from tuner.space.models import ModelShape, model_shape
from tuner.spec import Engine, JobSpec

Found = TypeVar("Found")

_KNOB_TYPES: Final[dict[str, type]] = {
    **dict.fromkeys(("attention_dp", "chunked_prefill", "cuda_graphs"), bool),
    **dict.fromkeys(("weights", "kv_cache", "moe_backend", "speculative"), str),
}
_KNOB_WORDS: Final = {bool: "true or false", str: "a name", int: "a whole number above 0"}


@dataclass(frozen=True, slots=True)
class Meaning:
    """A spec with its names looked up; `targets` are the engines and GPUs with kernel data for the model."""

    spec: JobSpec
    model: ModelShape
    lengths: Lengths
    targets: tuple[tuple[str, Gpu], ...]


def meaning_of(spec: JobSpec) -> Meaning:
    """Looks up everything that a spec names.

    Raises `SpecError` with one problem for each field that names nothing known or contradicts the model.
    """
    problems = [*_supported_today(spec), *_knob_types(spec)]
    model = _collect(problems, lambda: model_shape(spec.model))
    lengths = _collect(problems, lambda: lengths_of(spec.workload))
    _collect(problems, lambda: lengths and offered_rate(spec.workload))
    gpus = {gpu.name: gpu for name in spec.hardware.gpu if (gpu := _collect(problems, lambda: find_gpu(name)))}  # noqa: B023
    problems += _prices(spec, tuple(gpus.values()))
    if model is None or lengths is None:
        raise SpecError(problems)
    problems += _context(model, lengths)
    if problems:
        raise SpecError(problems)
    return Meaning(spec, model, lengths, _targets(spec, model, tuple(gpus.values())))


def _collect(problems: list[SpecProblem], look_up: Callable[[], Found]) -> Found | None:
    try:
        return look_up()
    except SpecError as error:
        problems += error.problems
        return None


def _supported_today(spec: JobSpec) -> list[SpecProblem]:
    problems = []
    for engine in spec.engine:
        if engine not in SIMULATOR_BACKENDS:
            names = ", ".join(name.value for name in SIMULATOR_BACKENDS)
            problems.append(SpecProblem("engine", f"{engine.value} cannot be simulated; use {names}"))
    return problems


def _knob_types(spec: JobSpec) -> list[SpecProblem]:
    problems = []
    for knob, values in spec.space.items():
        wanted = _KNOB_TYPES.get(knob, int)
        wrong = [value for value in values if type(value) is not wanted or (wanted is int and int(value) < 1)]
        if wrong:
            problems.append(SpecProblem(f"space.{knob}", f"{wrong[0]!r} does not fit; give {_KNOB_WORDS[wanted]}"))
    return problems


def _prices(spec: JobSpec, gpus: tuple[Gpu, ...]) -> list[SpecProblem]:
    wants_cost = Objective.COST in spec.objectives or any(METRICS[key].kind is Kind.COST for key in spec.constraints)
    given = spec.pricing.gpu_hour_usd
    problems: list[SpecProblem] = []
    if spec.pricing.carbon_grams_per_kwh is None and any(METRICS[key].kind is Kind.CARBON for key in spec.constraints):
        problems.append(SpecProblem("pricing.carbon_grams_per_kwh", "is not given, and a constraint needs it; give it"))
    if isinstance(given, dict):
        for name in given:
            _collect(problems, lambda: find_gpu(name, "pricing.gpu_hour_usd"))  # noqa: B023
        names = {find_gpu(name).name for name in given} if not problems else set()
    else:
        names = {gpu.name for gpu in gpus} if given is not None else set()
    for gpu in gpus:
        priced = gpu.name in names or spec.pricing.owned is not None or gpu_hour_usd(gpu.name) is not None
        if wants_cost and not priced:
            message = (
                f"no price is known for {gpu.name}; give dollars per GPU-hour, or leave cost out of the objectives"
            )
            problems.append(SpecProblem("pricing.gpu_hour_usd", message))
    return problems


def _context(model: ModelShape, lengths: Lengths) -> list[SpecProblem]:
    if lengths.sequence_max <= model.context_tokens:
        return []
    return [
        SpecProblem(
            "workload",
            f"a request of {lengths.input_max} input and {lengths.output_max} output tokens is longer than the context "
            f"of {model.name}, {model.context_tokens} tokens; shorten it to {model.context_tokens} tokens in all",
        )
    ]


def _targets(spec: JobSpec, model: ModelShape, gpus: tuple[Gpu, ...]) -> tuple[tuple[str, Gpu], ...]:
    matrix = support_matrix()
    listed = any(model.architecture in architectures for architectures in matrix.values())

    def known(engine: Engine, gpu: Gpu) -> bool:
        """An architecture that the matrix never tried may run wherever there is data: its trials will tell."""
        tried = matrix.get((gpu.name, SIMULATOR_BACKENDS[engine]), frozenset())
        return model.architecture in tried if listed else bool(tried)

    targets = tuple((engine.value, gpu) for engine, gpu in itertools.product(spec.engine, gpus) if known(engine, gpu))
    if targets:
        return targets
    asked = " or ".join(engine.value for engine in spec.engine)
    elsewhere = [gpu.name for gpu in known_gpus() if any(known(engine, gpu) for engine in spec.engine)]
    mend = f"it has on {', '.join(elsewhere)}" if elsewhere else "try another engine"
    names = ", ".join(gpu.name for gpu in gpus)
    raise SpecError.of("hardware.gpu", f"{model.name} has no kernel data with {asked} on {names}; {mend}")
