"""What a job's results say in sentences: the savings, and why there is no feasible configuration."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from service.cli.figures import sensible, unit_of
from service.cli.knobs import phrase
from service.client.answers import BaselineAnswer, JobAnswer, MissAnswer, TrialAnswer
from tuner.metrics import METRICS, Kind

_COST: Final = "cost_usd_per_million_output_tokens"
_ENERGY: Final = "energy_joules_per_output_token"
_WORTH_SAYING: Final = 1.05
"""Ratios below this are written as "as cheap as", for one decimal would say 1.0x."""


def savings(job: JobAnswer, picks: Mapping[str, TrialAnswer]) -> list[str]:
    """What the cheapest and the greenest recommendation save against the engine's default configuration."""
    baseline = job["baseline"]
    if baseline is None and job["spec"].get("evaluator") != "simulate":
        return ["No default configuration was measured, so there is nothing to compare with."]
    if baseline is None:
        return ["The engine's default configuration does not run here, so there is nothing to compare with."]
    default = f"Default: {phrase(baseline['configuration'])}."
    if not baseline["meets_constraints"]:
        return [
            "The default configuration of the engine cannot meet the limits at any load; the cheapest does.",
            default,
        ]
    limits = _limits(job["spec"].get("constraints"))
    cost = _saving(baseline, picks.get("cheapest"), _COST, "cheaper than", "as cheap as")
    energy = _saving(baseline, picks.get("greenest"), _ENERGY, "less energy per token than", "as much energy as")
    said = [f"The cheapest is {cost} the default configuration{limits}"] if cost else []
    said += [f"the greenest takes {energy} the default"] if energy else []
    return [sentence[0].upper() + sentence[1:] + "." for sentence in ("; ".join(said),) if said] + [default]


def ratio(baseline: BaselineAnswer, pick: TrialAnswer | None, metric: str) -> float | None:
    """How many times the baseline's figure is the pick's; `None` when one of them is not known."""
    before = baseline["metrics"].get(metric)
    after = pick["metrics"].get(metric) if pick is not None else None
    return before / after if before and after else None


def infeasible(job: JobAnswer, failures: Mapping[str, int]) -> str:
    """One line on why no configuration is feasible: the constraint that excludes most, or the commonest failure."""
    search = job["progress"]
    if not job["misses"]:
        if not failures:
            return "no feasible configuration: the space is empty; widen `space` or raise hardware.gpus"
        kind, count = Counter(failures).most_common(1)[0]
        mend = _FAILURE_MENDS.get(kind, "see the details in trials.csv")
        return f"no feasible configuration: {count} of {search['evaluated']} fail as {kind}; {mend}"
    worst = job["misses"][0]
    nearest = sensible(worst["nearest_value"])
    return (
        f"no feasible configuration: {worst['metric']} excludes {worst['excluded']} of {search['evaluated']}; the "
        f"nearest ({_trial(worst)}) has {nearest} {unit_of(worst['metric'])} against {worst['bound']:g}, "
        f"{_distance(worst)}; loosen it in `constraints`"
    )


def _trial(miss: MissAnswer) -> str:
    return f"trial {miss['nearest_trial']}"


def _distance(miss: MissAnswer) -> str:
    value, bound = miss["nearest_value"], miss["bound"]
    side = "above" if value > bound else "below"
    share = abs(value - bound) / bound
    return f"{share:.0%} {side}" if share < 2 else f"{max(value, bound) / max(min(value, bound), 1e-12):.3g}x {side}"


def _saving(baseline: BaselineAnswer, pick: TrialAnswer | None, metric: str, better: str, alike: str) -> str | None:
    found = ratio(baseline, pick, metric)
    if found is None:
        return None
    if found < _WORTH_SAYING:
        return alike
    return f"{found:.1f}x {better}" if found < 10 else f"{found:.0f}x {better}"


def _limits(constraints: object) -> str:
    if not isinstance(constraints, dict) or not constraints:
        return ""
    kinds = {METRICS[metric].kind for metric in constraints if metric in METRICS}
    word = "latency limit" if kinds == {Kind.LATENCY} else "limit"
    return f" at the same {word}" + ("s" if len(constraints) > 1 else "")


_FAILURE_MENDS: Final[Mapping[str, str]] = {
    "out_of_memory": "use more GPUs per replica, a smaller precision, or GPUs with more memory",
    "unsupported": "see `failure` in trials.csv; another GPU, precision or engine may be supported",
    "too_slow": "lower workload.request_rate, or raise hardware.gpus",
}
