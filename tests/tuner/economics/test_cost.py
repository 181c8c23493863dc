"""Money, energy and carbon of a token, by hand."""

import pytest

from tuner.economics.cost import (
    Tokens,
    annuity_usd_per_hour,
    cost_breakdown,
    hardware_usd_per_hour,
    with_economics,
)
from tuner.economics.prices import gpu_hour_usd
from tuner.errors import SpecError
from tuner.metrics import METRICS, Kind, Provenance
from tuner.space.hardware import find_gpu
from tuner.spec import Owned, Pricing, parse_spec
from tuner.trial import Failure, FailureKind, Measurement

GPU = "h100_sxm"
WORKLOAD = {"input_tokens": 10, "output_tokens": 10}
TOKENS = Tokens(input_mean=3000, output_mean=1000)
RATE, WATTS = 500.0, 600.0
"""Output tokens per second and GPU; watts per GPU."""


def measured(
    power: Provenance | None = Provenance.MODELLED, throughput: Provenance = Provenance.SIMULATED
) -> Measurement:
    metrics, provenance = {"output_tokens_per_second_per_gpu": RATE}, {"output_tokens_per_second_per_gpu": throughput}
    if power is not None:
        metrics["power_watts_per_gpu"], provenance["power_watts_per_gpu"] = WATTS, power
    return Measurement(metrics, provenance)


def test_cost_is_the_gpu_hour_over_the_tokens_of_an_hour() -> None:
    found = with_economics(measured(), GPU, TOKENS, Pricing(gpu_hour_usd=1.8))

    # 500 token/s × 3600 s = 1.8 M tokens in an hour of one GPU for $1.80
    assert found.metrics["cost_usd_per_million_output_tokens"] == pytest.approx(1.0)
    # every output token comes with three prompt tokens
    assert found.metrics["cost_usd_per_million_tokens"] == pytest.approx(0.25)


def test_energy_is_watts_over_tokens_per_second() -> None:
    found = with_economics(measured(), GPU, TOKENS, Pricing())

    assert found.metrics["energy_joules_per_output_token"] == pytest.approx(600 / 500)
    assert "carbon_grams_per_million_output_tokens" not in found.metrics


def test_electricity_is_added_where_it_is_billed_apart() -> None:
    pricing = Pricing(gpu_hour_usd=1.8, electricity_usd_per_kwh=0.1, pue=1.5)
    found = with_economics(measured(), GPU, TOKENS, pricing)

    # 0.6 kW × 1.5 × $0.10 = $0.09 an hour more
    assert found.metrics["cost_usd_per_million_output_tokens"] == pytest.approx(1.89 / 1.8)


def test_carbon_follows_the_energy_at_the_wall() -> None:
    found = with_economics(measured(), GPU, TOKENS, Pricing(carbon_grams_per_kwh=360, pue=1.25))

    # 1.2 J × 1.25 × 10⁶ tokens = 1.5 MJ = 0.41666 kWh at 360 g
    assert found.metrics["carbon_grams_per_million_output_tokens"] == pytest.approx(150.0)


def test_a_figure_is_as_weak_as_its_weakest_input() -> None:
    rented = with_economics(measured(), GPU, TOKENS, Pricing(carbon_grams_per_kwh=1))
    billed = with_economics(measured(), GPU, TOKENS, Pricing(electricity_usd_per_kwh=0.1))
    strong = with_economics(
        measured(Provenance.MEASURED, Provenance.CALIBRATED), GPU, TOKENS, Pricing(electricity_usd_per_kwh=1)
    )

    assert rented.provenance["cost_usd_per_million_output_tokens"] is Provenance.SIMULATED
    assert rented.provenance["energy_joules_per_output_token"] is Provenance.MODELLED
    assert rented.provenance["carbon_grams_per_million_output_tokens"] is Provenance.MODELLED
    assert billed.provenance["cost_usd_per_million_output_tokens"] is Provenance.MODELLED
    assert set(strong.provenance.values()) == {Provenance.MEASURED, Provenance.CALIBRATED}
    assert strong.provenance["energy_joules_per_output_token"] is Provenance.CALIBRATED


def test_what_is_not_known_is_left_out() -> None:
    no_power = with_economics(measured(power=None), GPU, TOKENS, Pricing(electricity_usd_per_kwh=0.1))
    no_price = with_economics(measured(), "l40s", TOKENS, Pricing())
    no_rate = with_economics(
        Measurement(
            {"output_tokens_per_second_per_gpu": 0.0}, {"output_tokens_per_second_per_gpu": Provenance.SIMULATED}
        ),
        GPU,
        TOKENS,
        Pricing(),
    )

    assert set(no_power.metrics) == {"output_tokens_per_second_per_gpu"}
    assert not {key for key in no_price.metrics if METRICS[key].kind is Kind.COST}
    assert set(no_rate.metrics) == {"output_tokens_per_second_per_gpu"}


def test_a_failure_stays_a_failure() -> None:
    failed = Measurement(failure=Failure(FailureKind.OUT_OF_MEMORY, "needs more"))

    assert with_economics(failed, GPU, TOKENS, Pricing()) == failed


def test_every_figure_keeps_its_provenance() -> None:
    found = with_economics(measured(), GPU, TOKENS, Pricing(carbon_grams_per_kwh=400))

    assert set(found.metrics) == set(found.provenance)
    assert found.metrics["power_watts_per_gpu"] == WATTS


def test_the_price_is_the_users_else_the_tables() -> None:
    assert hardware_usd_per_hour("h100_sxm", Pricing()) == gpu_hour_usd("h100_sxm") == 1.55
    assert hardware_usd_per_hour("h100_sxm", Pricing(gpu_hour_usd=9)) == 9
    assert hardware_usd_per_hour("h100_sxm", Pricing(gpu_hour_usd={"h100": 3, "b200_sxm": 4})) == 3
    assert hardware_usd_per_hour("h200_sxm", Pricing(gpu_hour_usd={"h100": 3})) == gpu_hour_usd("h200_sxm")
    assert hardware_usd_per_hour("l40s", Pricing()) is None


def test_a_price_of_nothing_is_a_price() -> None:
    found = with_economics(measured(), GPU, TOKENS, Pricing(gpu_hour_usd=0))

    assert found.metrics["cost_usd_per_million_output_tokens"] == 0


def test_a_price_of_an_unknown_gpu_is_refused() -> None:
    with pytest.raises(SpecError, match="did you mean h100_sxm"):
        hardware_usd_per_hour("h100_sxm", Pricing(gpu_hour_usd={"h1000": 3}))


def test_owned_hardware_costs_its_annuity_and_its_electricity() -> None:
    owned = Owned(gpu_usd=35_064, years=4)  # 4 years are 35,064 hours
    pricing = Pricing(owned=owned, electricity_usd_per_kwh=0.1, pue=1.5)

    breakdown = cost_breakdown(measured(), GPU, TOKENS, pricing)

    assert annuity_usd_per_hour(owned) == pytest.approx(1.0)
    assert breakdown is not None
    # $1 for the GPU and 0.6 kW × 1.5 × $0.10 for its electricity, over 1.8 M tokens
    assert breakdown.cost_usd_per_million_output_tokens == pytest.approx(1.09 / 1.8)
    assert breakdown.energy_share == pytest.approx(0.09 / 1.09)
    assert [line.name for line in breakdown.lines][:3] == ["GPU-hour", "power", "electricity"]


def test_interest_and_downtime_raise_the_hour() -> None:
    plain = annuity_usd_per_hour(Owned(gpu_usd=30_000, years=4))

    # 30,000 × 0.08 / (1 − 1.08⁻⁴) = 9,057.62 a year
    assert annuity_usd_per_hour(Owned(gpu_usd=30_000, years=4, interest=0.08)) == pytest.approx(
        9057.62 / 8766, rel=1e-4
    )
    assert annuity_usd_per_hour(Owned(gpu_usd=30_000, years=4, uptime=0.5)) == pytest.approx(2 * plain)


def test_idle_hours_are_paid_for_and_draw_idle_power() -> None:
    full = Pricing(gpu_hour_usd=1.8, electricity_usd_per_kwh=0.1)
    half = full.model_copy(update={"utilisation": 0.5})
    busy, idle = (with_economics(measured(), GPU, TOKENS, pricing).metrics for pricing in (full, half))

    idle_watts = find_gpu(GPU).idle_watts
    expected = (1.8 + (0.5 * WATTS + 0.5 * idle_watts) / 1000 * 0.1) / 0.9
    assert idle["cost_usd_per_million_output_tokens"] == pytest.approx(expected)
    assert idle["cost_usd_per_million_output_tokens"] > 1.9 * busy["cost_usd_per_million_output_tokens"]
    assert idle["energy_joules_per_output_token"] == busy["energy_joules_per_output_token"]


def test_a_tier_of_the_price_table_is_taken() -> None:
    prices = [hardware_usd_per_hour(GPU, Pricing(tier=tier)) for tier in ("hyperscaler", "neocloud", "retail")]

    assert prices == [1.17, 1.55, 1.78]


@pytest.mark.parametrize(
    ("pricing", "said"),
    [
        ({"tier": "neocloud", "gpu_hour_usd": 1}, "exclude each other"),
        ({"owned": {"gpu_usd": 30000, "years": 4}}, "give electricity_usd_per_kwh"),
        ({"tier": "gold"}, "hyperscaler"),
        ({"utilisation": 0}, "greater than 0"),
    ],
)
def test_prices_that_contradict_each_other_are_refused(pricing: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_spec({"model": "m", "hardware": {"gpu": "h100", "gpus": 1}, "workload": WORKLOAD, "pricing": pricing})
