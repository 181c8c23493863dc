import math

import pytest

from service.cli.figures import heading, legend, seconds, sensible
from tuner.metrics import METRICS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.11342, "0.113"),
        (9.8312, "9.83"),
        (99.96, "100"),
        (1234.5, "1,234"),
        (0.0000123, "0.000012"),
        (0, "0"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_figures_have_three_digits(value: float | None, text: str) -> None:
    assert sensible(value).removesuffix(".0") == text


@pytest.mark.parametrize("metric", METRICS)
def test_every_heading_is_a_name_and_a_unit(metric: str) -> None:
    name, unit = heading(metric).split("\n")

    assert name
    assert unit


def test_the_legend_names_what_is_there() -> None:
    assert legend(["modelled", "simulated", "modelled"]).count(";") == 1
    assert legend([]) == ""


@pytest.mark.parametrize(("value", "text"), [(8.4, "8 s"), (200, "3 min"), (7560, "2.1 h")])
def test_durations_are_for_people(value: float, text: str) -> None:
    assert seconds(value) == text
