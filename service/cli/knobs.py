"""How configurations are written for people: one word for the layout, and only the knobs that differ."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tuner.configuration import KNOBS, KnobValue

Knobs = Mapping[str, KnobValue]


@dataclass(frozen=True, slots=True)
class KnobColumn:
    """A column of a table: its heading, how a configuration's cell reads, and how it is said in a phrase."""

    heading: str
    cell: Callable[[Knobs], str]
    said: Callable[[Knobs], str]


def layout(knobs: Knobs) -> str:
    """Replicas and parallelism in one word: `4×TP2`, `TP8·EP4·DP` (DP: attention in data parallel)."""
    parts = [f"TP{knobs.get('tensor_parallel', 1)}"]
    parts += [f"PP{knobs['pipeline_parallel']}"] if knobs.get("pipeline_parallel", 1) != 1 else []
    parts += [f"EP{knobs['expert_parallel']}"] if knobs.get("expert_parallel", 1) != 1 else []
    parts += ["DP"] if knobs.get("attention_dp") else []
    replicas = knobs.get("replicas", 1)
    return (f"{replicas}×" if replicas != 1 else "") + "·".join(parts)


def _cell(knob: str) -> Callable[[Knobs], str]:
    def text(knobs: Knobs) -> str:
        value = knobs.get(knob)
        if value is None:
            return "–"
        return ("yes" if value else "no") if isinstance(value, bool) else str(value)

    return text


def _valued(heading: str, knob: str, phrase: str) -> KnobColumn:
    """A knob with a value; in a phrase it is left out while it is unset."""
    return KnobColumn(
        heading, _cell(knob), lambda knobs: phrase.format(knobs[knob]) if knobs.get(knob) is not None else ""
    )


def _switch(heading: str, knob: str, *, when: bool, phrase: str) -> KnobColumn:
    """A knob that is on or off; it is said only where it differs from what one expects."""
    return KnobColumn(heading, _cell(knob), lambda knobs: phrase if knobs.get(knob) is when else "")


def _ceiling(knobs: Knobs) -> str:
    """The scheduler's ceiling, where it is not simply the requests in flight."""
    ceiling = knobs.get("max_batch_size")
    return "" if ceiling is None or ceiling == knobs.get("concurrency") else f"batch {ceiling}"


def _own(knob: str) -> KnobColumn:
    """A knob that only its engine has, by its own name."""
    name = knob.replace("_", " ")

    def said(knobs: Knobs) -> str:
        value = knobs.get(knob)
        if isinstance(value, bool):
            return name if value else f"no {name}"
        return "" if value is None else f"{name} {value}"

    return KnobColumn(name.replace(" ", "\n", 1), _cell(knob), said)


COLUMNS: Final = (
    _valued("engine", "engine", "{}"),
    _valued("GPU", "gpu", "{}"),
    KnobColumn("layout", layout, layout),
    _valued("weights", "weights", "{}"),
    _valued("KV\ncache", "kv_cache", "KV {}"),
    _valued("requests\nin flight", "concurrency", "{} in flight"),
    KnobColumn("batch\nmax", _cell("max_batch_size"), _ceiling),
    _valued("tokens\nmax", "max_num_tokens", "{} tokens/step"),
    _switch("chunked\nprefill", "chunked_prefill", when=True, phrase="chunked prefill"),
    _valued("MoE\nbackend", "moe_backend", "MoE {}"),
    _switch("CUDA\ngraphs", "cuda_graphs", when=False, phrase="no CUDA graphs"),
    _valued("specu-\nlative", "speculative", "speculative {}"),
    _valued("limit\nW", "power_limit_watts", "{} W"),
    _valued("clock\nMHz", "gpu_clock_mhz", "{} MHz"),
)
"""In the order of how much they tell."""


def columns_of(configurations: Sequence[Knobs]) -> tuple[KnobColumn, ...]:
    """The columns of the common knobs, then of the engines' own ones that any of the configurations has, by name."""
    own = sorted({name for knobs in configurations for name in knobs} - set(KNOBS))
    return (*COLUMNS, *(_own(name) for name in own))


def varying(configurations: Sequence[Knobs]) -> list[KnobColumn]:
    """The columns that tell the configurations apart; one that only repeats another is left out."""
    found: dict[tuple[str, ...], KnobColumn] = {}
    for column in columns_of(configurations):
        texts = tuple(column.cell(knobs) for knobs in configurations)
        if len(set(texts)) > 1:
            found.setdefault(texts, column)
    return list(found.values())


def shared(configurations: Sequence[Knobs]) -> str:
    """The knobs that all the configurations have alike, as a phrase."""
    columns = columns_of(configurations)
    same = [column for column in columns if len({column.cell(knobs) for knobs in configurations}) == 1]
    return phrase(configurations[0], same) if configurations else ""


def phrase(knobs: Knobs, columns: Sequence[KnobColumn] | None = None) -> str:
    """A configuration in one phrase: `h100_sxm, 4×TP2, fp8, 64 in flight`; of the given columns, or of all."""
    shown = columns_of([knobs]) if columns is None else columns
    return ", ".join(said for column in shown if (said := column.said(knobs)))
