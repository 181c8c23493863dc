"""The space of a job that measures engines: the engines' own knobs, or the simulated space where there is one."""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from tuner.configuration import KNOBS, Configuration, KnobValue, knobs_of
from tuner.economics.prices import gpu_hour_usd
from tuner.errors import SpecError, SpecProblem
from tuner.metrics import METRICS, Kind, Objective
from tuner.space.build import build_space
from tuner.space.lengths import lengths_of, offered_rate
from tuner.space.own_knobs import EngineKnob, own_knobs
from tuner.spec import SIMULATED_ENGINES, Engine, EvaluatorName, JobSpec
from tuner.spec_problems import near

CONCURRENCIES: Final = (1, 2, 4, 8)
"""Requests in flight that `concurrency: auto` searches where nothing tells how much an engine bears."""
MOST_ROWS: Final = 200_000


def is_simulated(spec: JobSpec) -> bool:
    """Whether the simulator has an opinion of the space of a measuring job."""
    return spec.evaluator is EvaluatorName.STAGED and all(engine in SIMULATED_ENGINES for engine in spec.engine)


def measured_space(spec: JobSpec) -> Sequence[Configuration]:
    """The configurations that a measuring job chooses among, in a fixed order.

    Raises `SpecError` with one problem for each field that is wrong in itself or against the engine.
    """
    if all(engine in SIMULATED_ENGINES for engine in spec.engine):
        return _simulated_space(spec)
    problems = [*_mixed(spec), *_prices(spec), *_unknown(spec)]
    try:
        lengths_of(spec.workload)
        offered_rate(spec.workload)
    except SpecError as error:
        problems += error.problems
    if problems:
        raise SpecError(problems)
    rows = tuple(itertools.islice(_rows(spec), MOST_ROWS + 1))
    if len(rows) > MOST_ROWS:
        raise SpecError.of("space", f"there are over {MOST_ROWS:,} configurations; name fewer values")
    if not rows:
        raise SpecError.of("space", "no configuration is legal with these values; widen them")
    return rows


def measured_own_knobs(spec: JobSpec) -> tuple[str, ...]:
    """The engine's own knobs that every configuration of a measuring job has, by name; the space is not built."""
    if all(engine in SIMULATED_ENGINES for engine in spec.engine):
        return tuple(sorted(name for name in spec.space if name not in KNOBS))
    first = next(_rows(spec), None)
    return tuple(name for name, _ in first.options) if first is not None else ()


def engine_knobs(spec: JobSpec, engine: str, cpus: int | None = None) -> tuple[EngineKnob, ...]:
    """The knobs of an engine of the job on this machine."""
    given: Mapping[str, tuple[KnobValue, ...]] = spec.command.knobs if spec.command is not None else {}
    return own_knobs(engine, cpus or os.cpu_count() or 1, given)


def reference_row(spec: JobSpec, rows: Sequence[Configuration]) -> int:
    """The row most like the engine's own defaults, at the middle load: what savings and drift are held against."""
    loads = sorted({row.concurrency for row in rows})
    wanted: dict[str, KnobValue | None] = {"concurrency": loads[len(loads) // 2]}
    engine = rows[0].engine
    if Engine(engine) not in SIMULATED_ENGINES:
        wanted |= {knob.name: _default(knob) for knob in engine_knobs(spec, engine)}
    else:
        wanted |= {"weights": "bfloat16", "kv_cache": "bfloat16", "max_num_tokens": 8192, "pipeline_parallel": 1}
    names = [name for name in knobs_of(rows) if wanted.get(name) is not None]
    return max(range(len(rows)), key=lambda row: (sum(rows[row].knob(n) == wanted[n] for n in names), -row))


def _default(knob: EngineKnob) -> KnobValue | None:
    return knob.default if knob.default is not None else next(iter(knob.values), None)


def _simulated_space(spec: JobSpec) -> Sequence[Configuration]:
    """The space that can be simulated, times the engine's own knobs that the job names."""
    own = {name: values for name, values in spec.space.items() if name not in KNOBS}
    if not own:
        return build_space(spec)
    known = {knob.name: knob for knob in own_knobs(spec.engine[0].value)}
    problems = [*_mixed(spec), *_refused(known, own, spec.engine[0].value)]
    if problems:
        raise SpecError(problems)
    common = {name: values for name, values in spec.space.items() if name in KNOBS}
    base = build_space(spec.model_copy(update={"space": common}))
    names = sorted(own)
    return [
        replace(configuration, options=tuple(zip(names, chosen, strict=True)))
        for configuration in base
        for chosen in itertools.product(*(own[name] for name in names))
    ]


def _rows(spec: JobSpec) -> Iterator[Configuration]:
    for engine, gpu in itertools.product(spec.engine, spec.hardware.gpu):
        knobs = {knob.name: _values(spec, knob) for knob in engine_knobs(spec, engine.value)}
        if engine is Engine.COMMAND:
            knobs |= {name: tuple(values) for name, values in spec.space.items() if name not in knobs}
        knobs.pop("concurrency", None)
        names = [name for name, values in knobs.items() if values]
        for chosen in itertools.product(*(knobs[name] for name in names)):
            values = dict(zip(names, chosen, strict=True))
            for load in _loads(spec, values):
                found = Configuration.from_dict({**values, "engine": engine.value, "gpu": gpu, "concurrency": load})
                if found.gpus <= spec.hardware.gpus and _sensible(found):
                    yield found


def _values(spec: JobSpec, knob: EngineKnob) -> tuple[KnobValue, ...]:
    return tuple(spec.space.get(knob.name, knob.values))


def _loads(spec: JobSpec, values: Mapping[str, KnobValue]) -> tuple[int, ...]:
    """Requests in flight; at a rate, as many as the engine takes at once."""
    workload = spec.workload
    if workload.is_open:
        return (int(values.get("max_batch_size", 1)),)
    if isinstance(workload.concurrency, int):
        return (workload.concurrency,)
    return tuple(int(load) for load in spec.space.get("concurrency", CONCURRENCIES))


def _sensible(configuration: Configuration) -> bool:
    """Leaves out what the engine refuses, and slots that no request would ever use."""
    micro_batch = configuration.knob("micro_batch")
    if isinstance(micro_batch, int) and micro_batch > configuration.max_num_tokens:
        return False
    quantised = configuration.kv_cache not in ("f16", "bf16", "f32", "bfloat16", "auto")
    if configuration.engine == Engine.LLAMA_CPP and quantised and configuration.knob("flash_attention") is False:
        return False
    slots = configuration.max_batch_size
    return slots is None or slots <= configuration.concurrency


def _mixed(spec: JobSpec) -> list[SpecProblem]:
    if len(spec.engine) == 1:
        return []
    return [SpecProblem("engine", "engines with knobs of their own are measured one at a time; name one")]


def _unknown(spec: JobSpec) -> list[SpecProblem]:
    engine = spec.engine[0]
    known = {knob.name: knob for knob in engine_knobs(spec, engine.value)}
    loads = spec.space.get("concurrency", ())
    wrong = [value for value in loads if not isinstance(value, int) or isinstance(value, bool) or value < 1]
    problems = [
        SpecProblem("space.concurrency", f"{value!r} does not fit; give whole numbers above 0") for value in wrong
    ]
    common = KNOBS if engine is Engine.COMMAND else ("concurrency",)
    others = {name: values for name, values in spec.space.items() if name in known or name not in common}
    return [*problems[:1], *_refused(known, others, engine.value)]


def _refused(
    known: Mapping[str, EngineKnob], asked: Mapping[str, Sequence[KnobValue]], engine: str
) -> list[SpecProblem]:
    """What is wrong with values asked of an engine's knobs."""
    problems = []
    for name, values in asked.items():
        if name not in known:
            problems.append(SpecProblem(f"space.{name}", f"{engine} has no such knob; {near(name, [*known, *KNOBS])}"))
            continue
        refused = next((why for value in values if (why := known[name].refused(value))), None)
        problems += [SpecProblem(f"space.{name}", refused)] if refused else []
    return problems


def _prices(spec: JobSpec) -> list[SpecProblem]:
    pricing = spec.pricing
    wants_cost = Objective.COST in spec.objectives or any(METRICS[key].kind is Kind.COST for key in spec.constraints)
    given = pricing.gpu_hour_usd is not None or pricing.owned is not None
    if not wants_cost or given or all(gpu_hour_usd(gpu) is not None for gpu in spec.hardware.gpu):
        return []
    message = (
        "is not given, and cost needs it; give dollars for an hour of the machine, or leave cost out of objectives"
    )
    return [SpecProblem("pricing.gpu_hour_usd", message)]
