"""Money, energy and carbon of a token, by hand."""

import pytest

from tuner.economics.cost import Tokens, hardware_usd_per_hour, with_economics
from tuner.economics.prices import gpu_hour_usd
from tuner.errors import SpecError
from tuner.metrics import METRICS, Kind, Provenance
from tuner.spec import Pricing
from tuner.trial import Failure, FailureKind, Measurement

GPU = "h100_sxm"
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


def test_a_hardware_usd_per_hour_nothing_is_a_price() -> None:
    found = with_economics(measured(), GPU, TOKENS, Pricing(gpu_hour_usd=0))

    assert found.metrics["cost_usd_per_million_output_tokens"] == 0


def test_a_hardware_usd_per_hour_an_unknown_gpu_is_refused() -> None:
    with pytest.raises(SpecError, match="did you mean h100_sxm"):
        hardware_usd_per_hour("h100_sxm", Pricing(gpu_hour_usd={"h1000": 3}))
