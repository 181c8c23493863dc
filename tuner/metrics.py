"""Every metric: its name, unit, direction and meaning, and the objectives that name one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Provenance(StrEnum):
    """Where a figure comes from, from the strongest to the weakest."""

    MEASURED = "measured"
    CALIBRATED = "calibrated"
    SIMULATED = "simulated"
    MODELLED = "modelled"


_STRENGTH: Final = (Provenance.MEASURED, Provenance.CALIBRATED, Provenance.SIMULATED, Provenance.MODELLED)


def weakest(*provenances: Provenance) -> Provenance:
    """The provenance of a figure derived from several: that of its weakest part."""
    return max(provenances, key=_STRENGTH.index)


class Direction(StrEnum):
    """Which way is better."""

    MINIMISE = "minimise"
    MAXIMISE = "maximise"


class Kind(StrEnum):
    """What a metric speaks of."""

    COST = "cost"
    ENERGY = "energy"
    POWER = "power"
    CARBON = "carbon"
    THROUGHPUT = "throughput"
    MEMORY = "memory"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its key (unit in the name), unit, better direction, and what it means."""

    key: str
    unit: str
    direction: Direction
    kind: Kind
    meaning: str


STATISTICS: Final = ("mean", "p50", "p90", "p95", "p99")
LATENCIES: Final = {
    "ttft": "time to first token",
    "tpot": "mean time per output token after the first",
    "itl": "gap between two tokens",
    "request_latency": "time from request to last token",
}

_MIN, _MAX = Direction.MINIMISE, Direction.MAXIMISE
_PLAIN: Final = (
    Metric("cost_usd_per_million_output_tokens", "$/M output tokens", _MIN, Kind.COST, "cost of the output tokens"),
    Metric("cost_usd_per_million_tokens", "$/M tokens", _MIN, Kind.COST, "cost over input and output tokens"),
    Metric("energy_joules_per_output_token", "J/token", _MIN, Kind.ENERGY, "board energy per output token"),
    Metric("power_watts_per_gpu", "W", _MIN, Kind.POWER, "average board power of a GPU"),
    Metric("output_tokens_per_second_per_gpu", "token/s", _MAX, Kind.THROUGHPUT, "output tokens per second and GPU"),
    Metric(
        "output_tokens_per_second_per_user", "token/s", _MAX, Kind.THROUGHPUT, "output tokens per second a user sees"
    ),
    Metric("requests_per_second", "request/s", _MAX, Kind.THROUGHPUT, "requests completed, all replicas"),
    Metric("goodput_requests_per_second", "request/s", _MAX, Kind.THROUGHPUT, "requests that meet every limit"),
    Metric("gpu_memory_gib", "GiB", _MIN, Kind.MEMORY, "memory used on the fullest GPU"),
    Metric("carbon_grams_per_million_output_tokens", "g/M tokens", _MIN, Kind.CARBON, "CO2 of the output tokens"),
)
_LATENCY: Final = tuple(
    Metric(f"{name}_{statistic}_ms", "ms", _MIN, Kind.LATENCY, f"{meaning}, {statistic}")
    for name, meaning in LATENCIES.items()
    for statistic in STATISTICS
)

METRICS: Final[dict[str, Metric]] = {metric.key: metric for metric in (*_PLAIN, *_LATENCY)}


class Objective(StrEnum):
    """A metric to minimise."""

    COST = "cost"
    ENERGY = "energy"
    TPOT = "tpot"
    TTFT = "ttft"
    REQUEST_LATENCY = "request_latency"

    @property
    def metric(self) -> str:
        """Key of the metric that this objective minimises."""
        return _OBJECTIVE_METRICS[self]

    @property
    def is_latency(self) -> bool:
        """Whether the objective is a latency."""
        return METRICS[self.metric].kind is Kind.LATENCY


_OBJECTIVE_METRICS: Final = {
    Objective.COST: "cost_usd_per_million_output_tokens",
    Objective.ENERGY: "energy_joules_per_output_token",
    Objective.TPOT: "tpot_mean_ms",
    Objective.TTFT: "ttft_mean_ms",
    Objective.REQUEST_LATENCY: "request_latency_mean_ms",
}
