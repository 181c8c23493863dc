"""Budgets hold in hard terms; a plateau is a stretch without growth."""

from hypothesis import given
from hypothesis import strategies as st

from tuner.search.staged.stopping import Limits, Spent, exceeded, on_plateau

PRICE = Spent(trials=1, minutes=3.0, gpu_hours=0.4)


@given(st.floats(0, 10), st.integers(0, 20))
def test_no_trial_starts_that_cannot_finish_in_the_budget(hours: float, trials: int) -> None:
    limits = Limits(trials=10, gpu_hours=4.0)
    spent = Spent(trials=trials, gpu_hours=hours)
    if exceeded(limits, spent, PRICE) is None:
        assert spent.plus(PRICE).trials <= 10
        assert spent.plus(PRICE).gpu_hours <= 4.0 + 1e-6


def test_the_broken_budget_is_named() -> None:
    assert exceeded(Limits(minutes=5), Spent(minutes=3), PRICE) == "minutes"
    assert exceeded(Limits(), Spent(trials=999), PRICE) is None


def test_a_plateau_needs_patience_and_something_feasible() -> None:
    assert not on_plateau([0.0] * 20, 4)
    assert not on_plateau([0.5, 0.6, 0.7, 0.8, 0.9], 4)
    assert on_plateau([0.5, 0.9, 0.9, 0.9, 0.9, 0.9], 4)
    assert not on_plateau([0.9] * 20, None)
