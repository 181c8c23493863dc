"""The search space of a job: the default one of its model, GPUs and engines, narrowed by the spec."""

import itertools
from collections.abc import Iterator
from typing import Final

from tuner.configuration import Configuration, KnobValue
from tuner.errors import SpecError, SpecProblem
from tuner.space.hardware import Gpu
from tuner.space.meaning import Meaning, meaning_of
from tuner.space.precision import default_weights, supported_kv_caches
from tuner.space.rules import RULE_KNOB, Setting, broken
from tuner.space.space import Block, LoadSetting, Space
from tuner.spec import JobSpec

CONCURRENCIES: Final = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Requests in flight per replica that `concurrency: auto` searches."""
BATCH_CEILINGS: Final = (8, 16, 32, 64, 128, 256, 512)
"""Scheduler ceilings searched where requests arrive at a rate."""
TOKEN_BUDGETS: Final = (2048, 4096, 8192, 16384)
"""Tokens of one engine step that are searched."""
WIDTHS: Final = (1, 2, 4, 8)
"""Tensor- and expert-parallel widths, and pipeline depths, that are searched."""

MOST_LOAD_SETTINGS: Final = 100_000
"""Load settings of one deployment at most."""

_LOAD_KNOBS: Final = ("max_batch_size", "max_num_tokens", "concurrency", "chunked_prefill")
_WIDTH_KNOBS: Final = frozenset({"replicas", "tensor_parallel", "pipeline_parallel"})
_DEPLOYMENT_KNOBS: Final = (
    "replicas",
    "tensor_parallel",
    "pipeline_parallel",
    "expert_parallel",
    "attention_dp",
    "weights",
    "kv_cache",
    "cuda_graphs",
    "moe_backend",
    "speculative",
    "power_limit_watts",
    "gpu_clock_mhz",
)


def build_space(spec: JobSpec) -> Space:
    """Every legal configuration of a job, in a fixed order.

    Raises `SpecError` with one problem for each field that is wrong in itself or against the model, GPU or engine.
    """
    meaning = meaning_of(spec)
    blocks = [block for engine, gpu in meaning.targets for block in _blocks(meaning, engine, gpu)]
    _refuse_dead_values(meaning, blocks)
    return Space(blocks)


def setting_of(meaning: Meaning, gpu: Gpu) -> Setting:
    """What the rules hold a configuration of this job against."""
    return Setting(meaning.model, gpu, meaning.spec.hardware.gpus, meaning.lengths.input_max)


def _blocks(meaning: Meaning, engine: str, gpu: Gpu) -> Iterator[Block]:
    setting = setting_of(meaning, gpu)
    cache: dict[tuple[int, ...], tuple[LoadSetting, ...]] = {}
    for deployment in _deployments(meaning, engine, gpu):
        # the load settings depend on these alone, so blocks share them
        key = (deployment.data_parallel_ranks, deployment.pipeline_parallel, _share(meaning, deployment))
        if key not in cache:
            cache[key] = _bounded(_load_settings(meaning, deployment))
        block = Block(deployment, cache[key])
        if block.settings and broken(block.configuration(0), setting) is None:
            yield block


def _bounded(settings: Iterator[LoadSetting]) -> tuple[LoadSetting, ...]:
    """The load settings of a deployment; raises `SpecError` when they are more than any search would visit."""
    found = tuple(itertools.islice(settings, MOST_LOAD_SETTINGS + 1))
    if len(found) > MOST_LOAD_SETTINGS:
        message = (
            f"a deployment has over {MOST_LOAD_SETTINGS:,} load settings; name fewer of concurrency or max_num_tokens"
        )
        raise SpecError.of("space", message)
    return found


def _deployments(meaning: Meaning, engine: str, gpu: Gpu) -> Iterator[Configuration]:
    values = _default_deployments(meaning, gpu) | {
        knob: meaning.spec.space[knob] for knob in _DEPLOYMENT_KNOBS if knob in meaning.spec.space
    }
    replicas = values.pop("replicas", None)
    for chosen in itertools.product(*values.values()):
        knobs = dict(zip(values, chosen, strict=True))
        single = Configuration(engine=engine, gpu=gpu.name, **knobs)  # type: ignore[arg-type]
        fitting = meaning.spec.hardware.gpus // single.gpus_per_replica
        for count in replicas if replicas is not None else _replica_counts(meaning, fitting):
            yield Configuration(engine=engine, gpu=gpu.name, replicas=count, **knobs)  # type: ignore[arg-type]


def _default_deployments(meaning: Meaning, gpu: Gpu) -> dict[str, tuple[KnobValue | None, ...]]:
    moe = meaning.model.is_moe
    return {
        "weights": default_weights(meaning.model, gpu),
        "kv_cache": supported_kv_caches(gpu),
        "tensor_parallel": WIDTHS,
        "pipeline_parallel": WIDTHS,
        "expert_parallel": WIDTHS if moe else (1,),
        "attention_dp": (False, True) if moe else (False,),
    }


def _replica_counts(meaning: Meaning, fitting: int) -> tuple[int, ...]:
    """Replicas to try: all that fit where each brings its own load, and every power of two where they share one."""
    if fitting < 1:
        return ()
    if meaning.spec.workload.searches_concurrency:
        return (fitting,)
    return tuple(sorted({2**k for k in range(fitting.bit_length())} | {fitting}))


def _share(meaning: Meaning, deployment: Configuration) -> int:
    """Requests in flight that each replica takes of a load given for the whole deployment; 0 where it is searched."""
    load = meaning.spec.workload.concurrency
    return -(-load // deployment.replicas) if isinstance(load, int) else 0


def _load_settings(meaning: Meaning, deployment: Configuration) -> Iterator[LoadSetting]:
    space = meaning.spec.space
    ranks = deployment.data_parallel_ranks
    for concurrency, ceiling in _loads(meaning, deployment):
        if concurrency < ranks * deployment.pipeline_parallel:
            continue
        prompts = -(-concurrency // ranks)
        for chunked in space.get("chunked_prefill", (False, True)):
            for tokens in _token_budgets(meaning, prompts, bool(chunked)):
                yield LoadSetting(ceiling, tokens, concurrency, bool(chunked))


def _loads(meaning: Meaning, deployment: Configuration) -> Iterator[tuple[int, int]]:
    """Requests in flight per replica, with the scheduler's ceiling for each rank."""
    ranks = deployment.data_parallel_ranks
    space = meaning.spec.space
    if meaning.spec.workload.is_open:
        for ceiling in space.get("max_batch_size", BATCH_CEILINGS):
            yield int(ceiling) * ranks, int(ceiling)
        return
    share = _share(meaning, deployment)
    for concurrency in (share,) if share else space.get("concurrency", CONCURRENCIES):
        for ceiling in space.get("max_batch_size", (-(-int(concurrency) // ranks),)):
            yield int(concurrency), int(ceiling)


def _token_budgets(meaning: Meaning, prompts: int, chunked: bool) -> Iterator[int]:
    """Budgets worth telling apart: none below a whole prompt unless chunked, one above all the prompts at hand.

    Chunking that never chunks is the same as none, so it is left to the budgets below all the prompts at hand.
    Budgets that the user names are all kept, as long as they are legal.
    """
    named = meaning.spec.space.get("max_num_tokens")
    shortest = meaning.lengths.input_max
    if named is not None:
        yield from (int(budget) for budget in named if chunked or int(budget) >= shortest)
        return
    needed = prompts * (shortest + 1)
    budgets = TOKEN_BUDGETS if chunked else sorted({*TOKEN_BUDGETS, _at_least(shortest)})
    for budget in budgets:
        if not chunked and budget < shortest:
            continue
        if chunked and budget >= needed and "chunked_prefill" not in meaning.spec.space:
            return
        yield budget
        if budget >= needed:
            return


def _at_least(tokens: int) -> int:
    """The smallest power of two that holds `tokens`."""
    return max(TOKEN_BUDGETS[0], 1 << (tokens - 1).bit_length())


def _refuse_dead_values(meaning: Meaning, blocks: list[Block]) -> None:
    """Raises `SpecError` for values that the user asked for and that no legal configuration has."""
    problems = []
    for knob, values in meaning.spec.space.items():
        alive = _alive(knob, blocks)
        for value in values:
            if value not in alive:
                problems.append(SpecProblem(f"space.{knob}", _why_dead(meaning, knob, value)))
                break
    if not problems and not blocks:
        problems.append(SpecProblem("hardware.gpus", _why_empty(meaning)))
    if problems:
        raise SpecError(problems)


def _alive(knob: str, blocks: list[Block]) -> set[KnobValue]:
    if knob in _LOAD_KNOBS:
        return {getattr(setting, knob) for settings in {block.settings for block in blocks} for setting in settings}
    return {getattr(block.deployment, knob) for block in blocks}


def _why_dead(meaning: Meaning, knob: str, value: KnobValue) -> str:
    """Why no legal configuration has this value: the rule it breaks on otherwise default knobs."""
    reasons = []
    for engine, gpu in meaning.targets:
        probe = _probe(meaning, engine, gpu, {knob: value})
        found = broken(probe, setting_of(meaning, gpu))
        if found is not None and RULE_KNOB.get(found[0], found[0]) in {knob, "replicas"}:
            return found[1]
        reasons.append(found[1] if found else "")
    smallest = {other: min(values) for other, values in meaning.spec.space.items() if other in _WIDTH_KNOBS}
    found = broken(_probe(meaning, engine, gpu, smallest | {knob: value}), setting_of(meaning, gpu))
    if found is not None:
        return found[1]
    others = ", ".join(sorted(set(meaning.spec.space) - {knob})) or "hardware.gpus"
    return reasons[0] or f"{value!r} is legal with none of the other values asked for; widen {others}"


def _probe(meaning: Meaning, engine: str, gpu: Gpu, knobs: dict[str, KnobValue]) -> Configuration:
    """An otherwise plain configuration with the knobs in question."""
    weights = default_weights(meaning.model, gpu) or ("bfloat16",)
    tensor_parallel = int(
        knobs.get("tensor_parallel", knobs.get("expert_parallel", 2 if "attention_dp" in knobs else 1))
    )
    plain: dict[str, KnobValue] = {
        "weights": weights[0],
        "tensor_parallel": tensor_parallel,
        "max_num_tokens": _at_least(meaning.lengths.input_max),
        "concurrency": 1024,
    }
    return Configuration(engine=engine, gpu=gpu.name, **(plain | knobs))  # type: ignore[arg-type]


def _why_empty(meaning: Meaning) -> str:
    engine, gpu = meaning.targets[0]
    found = broken(_probe(meaning, engine, gpu, {}), setting_of(meaning, gpu))
    return found[1] if found else "no configuration is legal with these values; widen space or raise hardware.gpus"
