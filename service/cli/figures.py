"""How figures are written for people: sensible digits, short headings with units, provenance as a small letter."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from tuner.metrics import METRICS, Objective

SHORT_HEADINGS: Final[Mapping[str, str]] = {
    "cost_usd_per_million_output_tokens": "cost\n$/M out",
    "cost_usd_per_million_tokens": "cost\n$/M all",
    "energy_joules_per_output_token": "energy\nJ/token",
    "power_watts_per_gpu": "power\nW/GPU",
    "output_tokens_per_second_per_gpu": "output\ntok/s/GPU",
    "output_tokens_per_second_per_user": "output\ntok/s/user",
    "gpu_memory_gib": "memory\nGiB",
}
LETTERS: Final[Mapping[str, str]] = {"measured": "ᴹ", "calibrated": "ᶜ", "simulated": "ˢ", "modelled": "ᵐ"}
_MEANINGS: Final[Mapping[str, str]] = {
    "measured": "measured",
    "calibrated": "calibrated: simulated, corrected by measurements",
    "simulated": "simulated from kernel times measured by NVIDIA",
    "modelled": "from an analytic model",
}


def sensible(value: float | None) -> str:
    """A figure with three significant digits, thousands grouped; a dash for one that is not known."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 6)}f}"


def half_width(value: float | None, interval: tuple[float, float] | None) -> str:
    """A confidence interval beside its figure: ` ±3.2%`, the wider side of the two; empty where it is not known."""
    if not value or interval is None:
        return ""
    share = max(interval[1] - value, value - interval[0]) / abs(value)
    return f" ±{share:.0%}" if share >= 0.095 else f" ±{share:.1%}"


def span(interval: tuple[float, float] | None) -> str:
    """A confidence interval after its figure: ` (9.50–10.1)`; empty where it is not known."""
    return "" if interval is None else f" ({sensible(interval[0])}–{sensible(interval[1])})"


def heading(metric: str) -> str:
    """A short heading of a metric on two lines: its name, and its unit."""
    if metric in SHORT_HEADINGS:
        return SHORT_HEADINGS[metric]
    name, _, statistic = metric.removesuffix("_ms").rpartition("_")
    if metric.endswith("_ms"):
        name = "latency" if name == "request_latency" else name.upper()
        return f"{name}\nms" if statistic == "mean" else f"{name} {statistic}\nms"
    known = METRICS.get(metric)
    return f"{metric}\n{known.unit}" if known else metric


def unit_of(metric: str) -> str:
    """The unit of a metric."""
    known = METRICS.get(metric)
    return known.unit if known else ""


def metric_of(objective: str) -> str:
    """The metric that an objective minimises; a name of a newer service stands for itself."""
    try:
        return Objective(objective).metric
    except ValueError:
        return objective


def letter(provenance: str | None) -> str:
    """The letter of a provenance; nothing for one that is not known."""
    return LETTERS.get(provenance or "", "")


def legend(provenances: Iterable[str]) -> str:
    """What the letters in a table mean."""
    found = [name for name in LETTERS if name in set(provenances)]
    return "; ".join(f"{LETTERS[name]} {_MEANINGS[name]}" for name in found)


def seconds(value: float) -> str:
    """A duration for people: `8 s`, `3 min`, `2.1 h`."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"
