"""The choice of what to simulate in depth: it ends, repeats nothing, and leaves no unproven member on the frontier."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.frontier import Points, non_dominated
from tuner.search.refine import SIMULATED_WHOLE_UP_TO, Refinement


def cloud(seed: int, size: int, noise: float) -> tuple[Points, Points]:
    """What the formula says of `size` trials in three objectives, and the truth: off by a factor and some noise."""
    generator = np.random.default_rng(seed)
    screened = np.exp(generator.normal(0.0, 1.0, (size, 3)))
    truth = screened * np.array([1.4, 1.0, 0.8]) * np.exp(generator.normal(0.0, noise, (size, 3)))
    return screened, truth


def refined(screened: Points, truth: Points, feasible: np.ndarray) -> tuple[Refinement, list[int]]:
    refinement = Refinement(screened, np.ones(len(screened), dtype=bool))
    asked: list[int] = []
    while batch := refinement.next_batch():
        asked += batch
        refinement.tell(batch, truth[batch], feasible[batch])
    return refinement, asked


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([50, 500, 1500]), st.sampled_from([0.0, 0.03, 0.2]))
def test_it_ends_and_asks_for_nothing_twice(seed: int, size: int, noise: float) -> None:
    screened, truth = cloud(seed, size, noise)
    feasible = np.random.default_rng(seed).random(size) > 0.2

    refinement, asked = refined(screened, truth, feasible)

    assert len(set(asked)) == len(asked)
    assert refinement.waiting() == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([500, 1500]), st.sampled_from([0.0, 0.03, 0.2]))
def test_every_member_of_the_frontier_it_leaves_was_simulated(seed: int, size: int, noise: float) -> None:
    screened, truth = cloud(seed, size, noise)
    feasible = np.random.default_rng(seed).random(size) > 0.2

    refinement, asked = refined(screened, truth, feasible)

    simulated = np.isin(np.arange(size), asked)
    open_or_good = ~simulated | feasible
    figures = np.where(simulated[:, None], truth, screened)[open_or_good]
    members = np.flatnonzero(open_or_good)[non_dominated(figures)]
    assert simulated[members].all()
    assert refinement.done.tolist() == simulated.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_a_formula_within_its_margin_misses_no_member_of_the_true_frontier(seed: int) -> None:
    screened, truth = cloud(seed, 3000, noise=0.01)
    feasible = np.ones(len(truth), dtype=bool)

    _, asked = refined(screened, truth, feasible)

    assert set(np.flatnonzero(non_dominated(truth))) <= set(asked)
    assert len(asked) < len(truth)


def test_a_small_space_is_simulated_whole() -> None:
    screened, truth = cloud(1, SIMULATED_WHOLE_UP_TO, noise=0.5)

    _, asked = refined(screened, truth, np.ones(len(truth), dtype=bool))

    assert sorted(asked) == list(range(len(truth)))


def test_what_no_figure_leaves_possible_is_never_asked_for() -> None:
    screened, truth = cloud(2, 600, noise=0.1)
    possible = np.arange(600) % 3 > 0
    refinement = Refinement(screened, possible)

    asked: list[int] = []
    while batch := refinement.next_batch():
        asked += batch
        refinement.tell(batch, truth[batch], np.ones(len(batch), dtype=bool))

    assert asked
    assert possible[asked].all()


def test_nothing_possible_is_nothing_to_do() -> None:
    screened, _ = cloud(3, 500, noise=0.1)

    assert Refinement(screened, np.zeros(500, dtype=bool)).next_batch() == []
    assert Refinement(np.empty((0, 3)), np.zeros(0, dtype=bool)).next_batch() == []
