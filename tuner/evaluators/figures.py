"""What a load is to find out for a job, and the metrics of the deployment that its result comes to."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tuner.configuration import Configuration
from tuner.economics.cost import Tokens, with_economics
from tuner.load.plan import OUTPUT_RATE, Plan
from tuner.load.result import LoadResult
from tuner.metrics import METRICS, Kind, Provenance
from tuner.space.lengths import Lengths
from tuner.spec import JobSpec
from tuner.trial import Interval, Measurement

_COSTS: Final = ("cost_usd_per_million_output_tokens", "cost_usd_per_million_tokens")
_RATE: Final = "output_tokens_per_second_per_gpu"
_OF_ALL_REPLICAS: Final = ("requests_per_second", "goodput_requests_per_second")
_GOODPUT: Final = {"ttft": "ttft_ms", "tpot": "tpot_ms", "request_latency": "request_latency_ms"}


def plan_of(spec: JobSpec, configuration: Configuration, shortest_window_seconds: float = 0.0) -> Plan:
    """How one replica is loaded; the window is at least as long as asked, as far as the job's time allows."""
    measuring = spec.measuring
    wanted = dict.fromkeys(_measured_metric(objective.metric) for objective in spec.objectives)
    plain = Plan(
        seconds=measuring.seconds,
        precision=measuring.precision,
        wanted=tuple(wanted),
        goodput_limits=_goodput_limits(spec.constraints),
        gpus=configuration.gpus_per_replica,
    )
    return replace(plain, window_seconds=max(plain.window_seconds, shortest_window_seconds))


def measurement_of(
    spec: JobSpec,
    lengths: Lengths,
    configuration: Configuration,
    found: LoadResult,
    details: Mapping[str, object],
) -> Measurement:
    """The figures of the whole deployment from the load of one replica, with their costs."""
    metrics = dict(found.metrics)
    intervals = {key: (low, high) for key, (low, high) in found.intervals.items()}
    for key in _OF_ALL_REPLICAS:
        if key in metrics:
            metrics[key] *= configuration.replicas
            if key in intervals:
                intervals[key] = (
                    intervals[key][0] * configuration.replicas,
                    intervals[key][1] * configuration.replicas,
                )
    measured = Measurement(metrics, dict.fromkeys(metrics, Provenance.MEASURED), details=details)
    tokens = Tokens(lengths.input_mean, lengths.output_mean)
    priced = with_economics(measured, configuration.gpu, tokens, spec.pricing)
    return replace(priced, intervals=intervals | _cost_intervals(priced.metrics, intervals))


def _measured_metric(metric: str) -> str:
    """The figure of a load that a metric follows from by arithmetic."""
    kind = METRICS[metric].kind
    return OUTPUT_RATE if kind in (Kind.COST, Kind.ENERGY, Kind.CARBON) else metric


def _goodput_limits(constraints: Mapping[str, float]) -> dict[str, float]:
    """The tightest bound on each latency, whatever its statistic (ms)."""
    found: dict[str, float] = {}
    for key, bound in constraints.items():
        name = _GOODPUT.get(key.removesuffix("_ms").rpartition("_")[0])
        if name is not None and key.endswith("_ms"):
            found[name] = min(bound, found.get(name, bound))
    return found


def _cost_intervals(metrics: Mapping[str, float], intervals: Mapping[str, Interval]) -> dict[str, Interval]:
    """The intervals of the costs, which go with the inverse of the token rate."""
    rate = metrics.get(_RATE)
    if rate is None or _RATE not in intervals:
        return {}
    low, high = intervals[_RATE]
    if low <= 0:
        return {}
    return {key: (metrics[key] * rate / high, metrics[key] * rate / low) for key in _COSTS if key in metrics}
