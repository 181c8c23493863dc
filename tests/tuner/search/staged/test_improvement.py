"""Expected hypervolume improvement against sampling, and its limits."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tuner.search.staged.improvement import Improvement, hypervolume


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_agrees_with_sampling(objectives: int) -> None:
    random = np.random.default_rng(objectives)
    front, reference = random.uniform(0, 1, (8, objectives)), np.ones(objectives)
    mean, spread = random.uniform(0, 1, (3, objectives)), random.uniform(0.05, 0.3, (3, objectives))
    exact = Improvement(front, reference).expected(mean, spread)
    base = hypervolume(front, reference)
    for row in range(3):
        draws = random.normal(mean[row], spread[row], (4000, objectives))
        gains = [hypervolume(np.vstack([front, draw]), reference) - base for draw in draws]
        assert exact[row] == pytest.approx(np.mean(gains), abs=5 * np.std(gains) / 4000**0.5 + 1e-6)


@settings(max_examples=60, deadline=None)
@given(
    front=arrays(float, st.tuples(st.integers(0, 12), st.just(3)), elements=st.floats(-2, 2)),
    mean=arrays(float, (4, 3), elements=st.floats(-3, 3)),
)
def test_is_the_plain_improvement_where_nothing_is_uncertain(front: np.ndarray, mean: np.ndarray) -> None:
    reference = np.full(3, 1.5)
    gain = Improvement(front, reference).expected(mean, np.full((4, 3), 1e-9))
    base = hypervolume(front, reference)
    for row in range(4):
        after = hypervolume(np.vstack([front, mean[row : row + 1]]), reference)
        assert gain[row] == pytest.approx(after - base, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(points=arrays(float, st.tuples(st.integers(1, 15), st.just(3)), elements=st.floats(-2, 2)))
def test_hypervolume_never_falls_as_points_come(points: np.ndarray) -> None:
    found = [hypervolume(points[:count], np.full(3, 1.0)) for count in range(1, len(points) + 1)]
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(found))
