import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.load.statistics import (
    MOST_BATCHES,
    Floats,
    batch_means,
    mean_interval,
    quantile_interval,
    relative_half_width,
    widening,
)

figures = st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=300)


@given(figures)
def test_an_interval_holds_the_mean_it_is_of(values: list[float]) -> None:
    interval = mean_interval(values)

    assert interval is not None
    assert interval[0] <= np.mean(values) + 1e-6
    assert interval[1] >= np.mean(values) - 1e-6


@given(figures, st.sampled_from([0.5, 0.9, 0.99]))
def test_an_interval_of_a_quantile_holds_it(values: list[float], share: float) -> None:
    interval = quantile_interval(values, share)

    assert interval is None or interval[0] <= np.quantile(values, share) <= interval[1]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=500))
def test_batches_are_few_and_weigh_up_to_the_whole(values: list[float]) -> None:
    batches = batch_means(np.asarray(values))

    assert len(batches) <= MOST_BATCHES
    assert min(values) - 1e-9 <= batches.min()
    assert batches.max() <= max(values) + 1e-9


@pytest.mark.parametrize("count", [0, 1, 4])
def test_few_figures_have_no_interval(count: int) -> None:
    assert mean_interval([1.0] * count) is None
    assert quantile_interval([1.0] * count, 0.5) is None


def test_an_extreme_quantile_of_few_figures_has_no_interval() -> None:
    assert quantile_interval(np.arange(50.0), 0.99) is None
    assert quantile_interval(np.random.default_rng(1).normal(size=5000), 0.99) is not None


def test_equal_figures_are_exact() -> None:
    assert relative_half_width(mean_interval([3.0] * 40), 3.0) == 0.0
    assert relative_half_width(None, 3.0) is None


def test_dependence_widens_and_its_absence_does_not_narrow() -> None:
    trend, zigzag = np.arange(20.0), np.tile([0.0, 1.0], 10)

    assert widening(trend) > 3
    assert widening(zigzag) == 1.0


def autoregressive(generator: np.random.Generator, shape: tuple[int, int], correlation: float) -> Floats:
    """Series whose neighbours correlate, one a row, with mean 0 and variance 1."""
    values = generator.normal(size=shape)
    values[:, 1:] *= (1 - correlation**2) ** 0.5
    for place in range(1, shape[1]):
        values[:, place] += correlation * values[:, place - 1]
    return values


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_nineteen_of_twenty_intervals_hold_the_truth_though_figures_depend_on_one_another(correlation: float) -> None:
    generator = np.random.default_rng(5)
    series = autoregressive(generator, (300, 800), correlation)
    means = [mean_interval(values) for values in series]
    medians = [quantile_interval(values, 0.5) for values in series]

    for intervals in (means, medians):
        held = sum(one is not None and one[0] <= 0.0 <= one[1] for one in intervals)
        assert held / len(series) >= 0.93
