"""Money, energy and carbon of a token, from a deployment's throughput and power, with the arithmetic line by line.

    $/M output tokens = ($/GPU-hour + kW x PUE x $/kWh where electricity is billed on top)
                        / (output tokens/s and GPU x utilisation x 3600) x 10^6

Source: the total-cost formula of SemiAnalysis' AI Cloud TCO as InferenceX publishes it. Watts are those of the boards.
"""

from dataclasses import dataclass, replace
from typing import Final

from tuner.economics.prices import gpu_hour_usd, price_source
from tuner.metrics import Provenance, weakest
from tuner.space.hardware import find_gpu
from tuner.spec import Owned, Pricing
from tuner.trial import Measurement

SECONDS_PER_HOUR: Final = 3600.0
HOURS_PER_YEAR: Final = 8766.0
JOULES_PER_KWH: Final = 3.6e6
MILLION: Final = 1e6

RATE: Final = "output_tokens_per_second_per_gpu"
POWER: Final = "power_watts_per_gpu"
ENERGY: Final = "energy_joules_per_output_token"
COST: Final = "cost_usd_per_million_output_tokens"
COST_OF_ALL: Final = "cost_usd_per_million_tokens"
CARBON: Final = "carbon_grams_per_million_output_tokens"


@dataclass(frozen=True, slots=True)
class Tokens:
    """Mean prompt and output length of a request, in tokens."""

    input_mean: float
    output_mean: float

    @property
    def output_share(self) -> float:
        """Output tokens as a share of all tokens."""
        return self.output_mean / (self.input_mean + self.output_mean)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the arithmetic: what, how much, in which unit, and how it came about."""

    name: str
    amount: float
    unit: str
    formula: str


@dataclass(frozen=True, slots=True)
class CostBreakdown:
    """What a million output tokens cost, and the arithmetic behind it, per GPU.

    `energy_share`: electricity over the whole cost (0 to 1); `None` while the price of electricity or the power is
    not known.
    """

    cost_usd_per_million_output_tokens: float
    cost_usd_per_million_tokens: float
    energy_share: float | None
    lines: tuple[Line, ...]


def cost_breakdown(measurement: Measurement, gpu: str, tokens: Tokens, pricing: Pricing) -> CostBreakdown | None:
    """The cost of a deployment line by line; `None` where its throughput, its price or its power is not known."""
    rate, watts = measurement.metrics.get(RATE, 0.0), measurement.metrics.get(POWER)
    hardware = hardware_usd_per_hour(gpu, pricing)
    if rate <= 0 or hardware is None:
        return None
    lines = [Line("GPU-hour", hardware, "$/hour", _price_origin(pricing))]
    total, share = hardware, None
    if pricing.electricity_usd_per_kwh is not None:
        if watts is None:
            return None
        mean = _mean_watts(watts, gpu, pricing)
        electricity = mean / 1000 * pricing.pue * pricing.electricity_usd_per_kwh
        total += electricity
        share = electricity / total if total > 0 else 0.0
        lines += [
            Line("power", mean, "W", f"board watts at {pricing.utilisation:g} utilisation, idle watts the rest"),
            Line(
                "electricity",
                electricity,
                "$/hour",
                f"kW x PUE {pricing.pue:g} x {pricing.electricity_usd_per_kwh:g} $/kWh",
            ),
        ]
    output = rate * pricing.utilisation * SECONDS_PER_HOUR
    cost = total / output * MILLION
    lines += [
        Line("total", total, "$/hour", "sum of the above"),
        Line("output tokens", output, "token/hour", f"{rate:.4g} token/s x utilisation {pricing.utilisation:g} x 3600"),
        Line("cost of output tokens", cost, "$/M output tokens", "total / output tokens x 10^6"),
        Line("cost of all tokens", cost * tokens.output_share, "$/M tokens", "the same over input and output tokens"),
    ]
    return CostBreakdown(cost, cost * tokens.output_share, share, tuple(lines))


def with_economics(measurement: Measurement, gpu: str, tokens: Tokens, pricing: Pricing) -> Measurement:
    """The measurement with the figures that follow from its throughput and power by arithmetic, old ones replaced.

    - joules per output token = watts per GPU / output tokens per second and GPU
    - dollars: see `cost_breakdown`
    - grams of CO2 per million output tokens = joules x PUE / 3.6e6 x grams per kWh x 10^6

    A figure whose inputs are unknown is left out, and a figure is never of stronger provenance than its inputs.
    """
    if measurement.failure is not None:
        return measurement
    derived = (ENERGY, COST, COST_OF_ALL, CARBON)
    metrics = {key: value for key, value in measurement.metrics.items() if key not in derived}
    provenance = {key: value for key, value in measurement.provenance.items() if key not in derived}

    def put(key: str, value: float, *sources: str) -> None:
        metrics[key] = value
        provenance[key] = weakest(*(provenance.get(source, Provenance.MODELLED) for source in sources))

    rate, watts = metrics.get(RATE, 0.0), metrics.get(POWER)
    if rate > 0 and watts is not None:
        put(ENERGY, watts / rate, RATE, POWER)
        if pricing.carbon_grams_per_kwh is not None:
            joules = _mean_watts(watts, gpu, pricing) / (rate * pricing.utilisation)
            put(CARBON, joules * pricing.pue / JOULES_PER_KWH * pricing.carbon_grams_per_kwh * MILLION, RATE, POWER)
    breakdown = cost_breakdown(measurement, gpu, tokens, pricing)
    if breakdown is not None:
        sources = (RATE,) if pricing.electricity_usd_per_kwh is None else (RATE, POWER)
        put(COST, breakdown.cost_usd_per_million_output_tokens, *sources)
        put(COST_OF_ALL, breakdown.cost_usd_per_million_tokens, *sources)
    return replace(measurement, metrics=metrics, provenance=provenance)


def hardware_usd_per_hour(gpu: str, pricing: Pricing) -> float | None:
    """Dollars for one hour of one GPU, electricity billed apart left out; `None` where no price is known."""
    if pricing.owned is not None:
        return annuity_usd_per_hour(pricing.owned)
    given = pricing.gpu_hour_usd
    if isinstance(given, dict):
        prices = {find_gpu(name, "pricing.gpu_hour_usd").name: price for name, price in given.items()}
        return prices.get(gpu, gpu_hour_usd(gpu, pricing.tier))
    return gpu_hour_usd(gpu, pricing.tier) if given is None else float(given)


def annuity_usd_per_hour(owned: Owned) -> float:
    """Dollars per usable hour that repay the purchase with interest in equal yearly parts.

    Source: the annuity formula, price x r / (1 - (1 + r)^-years); price / years without interest.
    """
    rate, years = owned.interest, owned.years
    yearly = owned.gpu_usd * rate / (1 - (1 + rate) ** -years) if rate > 0 else owned.gpu_usd / years
    return yearly / (HOURS_PER_YEAR * owned.uptime)


def _mean_watts(watts: float, gpu: str, pricing: Pricing) -> float:
    """Board watts over busy and idle time."""
    if pricing.utilisation >= 1:
        return watts
    idle = find_gpu(gpu).idle_watts
    return pricing.utilisation * watts + (1 - pricing.utilisation) * min(idle, watts)


def _price_origin(pricing: Pricing) -> str:
    if pricing.owned is not None:
        owned = pricing.owned
        return (
            f"annuity of ${owned.gpu_usd:g} over {owned.years:g} years at {owned.interest:.3g}, uptime {owned.uptime:g}"
        )
    if pricing.gpu_hour_usd is not None:
        return "the job's own price"
    return f"price table, {pricing.tier or 'default tier'} ({price_source()})"
