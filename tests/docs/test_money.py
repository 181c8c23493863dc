"""The worked example of docs/money-and-power.md is what the code computes."""

from pathlib import Path

import pytest

from tuner.economics.cost import CARBON, COST, COST_OF_ALL, ENERGY, Tokens, annuity_usd_per_hour, cost_breakdown
from tuner.economics.cost import with_economics as priced
from tuner.spec import Owned, Pricing
from tuner.trial import Measurement

PAGE = Path(__file__).resolve().parents[2] / "docs" / "money-and-power.md"
AT_FULL_LOAD = Measurement({"output_tokens_per_second_per_gpu": 2000.0, "power_watts_per_gpu": 450.0})
TOKENS = Tokens(1024, 256)
BILL = {"electricity_usd_per_kwh": 0.08, "pue": 1.25, "carbon_grams_per_kwh": 400.0}
OWNED = Owned(gpu_usd=30_000, years=5, interest=0.08, uptime=0.95)


def _said(figure: str) -> bool:
    return figure in PAGE.read_text(encoding="utf-8")


def test_a_rented_gpu_at_full_load() -> None:
    """Given the example's throughput, watts and prices, then each result is the page's."""
    pricing = Pricing.model_validate({"gpu_hour_usd": 1.55, **BILL})

    figures = priced(AT_FULL_LOAD, "h100_sxm", TOKENS, pricing).metrics
    breakdown = cost_breakdown(AT_FULL_LOAD, "h100_sxm", TOKENS, pricing)

    assert breakdown is not None
    assert [line.amount for line in breakdown.lines] == pytest.approx(
        [1.55, 450, 0.0450, 1.5950, 7_200_000, 1.595 / 7.2, 1.595 / 7.2 / 5]
    )
    assert breakdown.energy_share is not None
    for figure in (
        f"${figures[COST]:.4f} per million",
        f"${figures[COST_OF_ALL]:.4f} per million",
        f"{figures[ENERGY]:.3f} J per output token",
        f"{figures[CARBON]:.2f} g per million output tokens",
        f"{breakdown.energy_share:.2%}".replace("%", " %"),
    ):
        assert _said(figure), figure


def test_the_same_at_half_the_traffic() -> None:
    """Given a utilisation of one half, then idle watts fill the rest, and cost and carbon rise."""
    pricing = Pricing.model_validate({"gpu_hour_usd": 1.55, "utilisation": 0.5, **BILL})

    figures = priced(AT_FULL_LOAD, "h100_sxm", TOKENS, pricing).metrics

    assert figures[ENERGY] == pytest.approx(0.225)
    assert _said(f"${figures[COST]:.4f} and {figures[CARBON]:.2f} g")


def test_the_same_gpu_owned() -> None:
    """Given a purchase in place of a rent, then the annuity takes the hour's place."""
    figures = priced(AT_FULL_LOAD, "h100_sxm", TOKENS, Pricing.model_validate({"owned": OWNED, **BILL})).metrics

    assert _said(f"${annuity_usd_per_hour(OWNED):.4f} per hour")
    assert _said(f"${figures[COST]:.4f} per million output tokens")
