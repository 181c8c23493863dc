"""The frontier against a brute-force check, its hypervolume, and the recommendations."""

import itertools
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.configuration import Configuration
from tuner.frontier import Frontier, knee, non_dominated, objective_values, recommendations
from tuner.metrics import Objective
from tuner.trial import Trial, TrialState

Values = tuple[float, ...]
OBJECTIVES = (Objective.COST, Objective.ENERGY, Objective.TPOT)
FEW = st.sampled_from([0.5, 1.0, 1.5, 2.0, 4.0])  # few values, so that points repeat and tie
MANY = st.floats(min_value=1e-3, max_value=1e6)
POINTS = st.lists(st.tuples(FEW, FEW, FEW), max_size=24) | st.lists(st.tuples(MANY, MANY, MANY), max_size=24)


def trial(number: int, values: Values, state: TrialState = TrialState.COMPLETE) -> Trial:
    metrics = {objective.metric: value for objective, value in zip(OBJECTIVES, values, strict=True)}
    return Trial(number, Configuration("tensorrt-llm", "h100_sxm"), state, metrics)


def trials(points: Sequence[Values]) -> list[Trial]:
    return [trial(number, values) for number, values in enumerate(points)]


def dominates(one: Values, other: Values) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def brute_force(points: Sequence[Values]) -> list[int]:
    return [n for n, point in enumerate(points) if not any(dominates(other, point) for other in points)]


def numbers(frontier: Frontier) -> list[int]:
    return sorted(kept.number for kept in frontier.trials)


@given(POINTS)
def test_it_is_what_no_other_point_dominates_equal_points_included(points: list[Values]) -> None:
    frontier = Frontier(OBJECTIVES)

    frontier.add(trials(points))

    assert numbers(frontier) == brute_force(points)


@given(POINTS, st.integers(1, 5), st.randoms())
def test_it_does_not_depend_on_the_order_or_the_batches_in_which_trials_come(
    points: list[Values], size: int, shuffler: random.Random
) -> None:
    shuffled = trials(points)
    shuffler.shuffle(shuffled)
    frontier = Frontier(OBJECTIVES)

    for start in range(0, len(shuffled), size):
        frontier.add(shuffled[start : start + size])

    assert numbers(frontier) == brute_force(points)


@given(POINTS, st.tuples(MANY, MANY, MANY))
def test_its_hypervolume_never_falls_and_stays_a_share(points: list[Values], baseline: Values) -> None:
    frontier = Frontier(OBJECTIVES, trial(0, baseline).metrics)
    volumes = [frontier.hypervolume()]

    for one in trials(points):
        frontier.add([one])
        volumes.append(frontier.hypervolume())

    known = [volume for volume in volumes if volume is not None]
    assert len(known) == len(volumes)
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(known))
    assert 0.0 <= known[0] <= known[-1] <= 1.0 + 1e-12


@given(POINTS, st.tuples(FEW, FEW, FEW))
def test_its_hypervolume_is_the_share_of_the_box_that_it_dominates(points: list[Values], baseline: Values) -> None:
    frontier = Frontier(OBJECTIVES, trial(0, baseline).metrics)
    frontier.add(trials(points))

    # an independent sum over the grid that the points themselves draw in the box of one decade either way
    unit = [
        tuple(min(max((math.log10(v / b) + 1) / 2, 0.0), 1.0) for v, b in zip(p, baseline, strict=True)) for p in points
    ]
    edges = [sorted({0.0, 1.0, *(point[axis] for point in unit)}) for axis in range(3)]
    share = 0.0
    for x0, x1 in itertools.pairwise(edges[0]):
        for y0, y1 in itertools.pairwise(edges[1]):
            for z0, z1 in itertools.pairwise(edges[2]):
                if any(x <= x0 and y <= y0 and z <= z0 for x, y, z in unit):
                    share += (x1 - x0) * (y1 - y0) * (z1 - z0)
    assert frontier.hypervolume() == pytest.approx(share, abs=1e-9)


def test_the_baseline_alone_has_half_of_each_side() -> None:
    frontier = Frontier(OBJECTIVES, trial(0, (3.0, 5.0, 7.0)).metrics)
    frontier.add([trial(0, (3.0, 5.0, 7.0))])

    assert frontier.hypervolume() == pytest.approx(0.5**3)


def test_without_a_baseline_the_hypervolume_is_not_known() -> None:
    frontier = Frontier(OBJECTIVES)
    frontier.add([trial(0, (1.0, 1.0, 1.0))])

    assert frontier.hypervolume() is None


@pytest.mark.parametrize("state", [state for state in TrialState if state is not TrialState.COMPLETE])
def test_only_complete_trials_join(state: TrialState) -> None:
    frontier = Frontier(OBJECTIVES)
    frontier.add([trial(0, (1.0, 1.0, 1.0), state), trial(1, (2.0, 2.0, 2.0))])

    assert numbers(frontier) == [1]


def test_a_trial_that_lacks_an_objective_never_joins() -> None:
    lacking = Trial(0, Configuration("tensorrt-llm", "h100_sxm"), TrialState.COMPLETE, {"tpot_mean_ms": 1.0})
    frontier = Frontier(OBJECTIVES)
    frontier.add([lacking])

    assert frontier.trials == ()
    assert objective_values(lacking.metrics, OBJECTIVES) is None


def test_no_points_are_no_frontier() -> None:
    assert non_dominated(np.empty((0, 3))).tolist() == []
    assert recommendations([], OBJECTIVES) == {}


def test_the_knee_is_nearest_to_the_best_of_everything() -> None:
    # log-scaled to the unit square: (0, 1), (0.25, 0.25), (1, 0); the middle one is nearest to the origin
    points = np.array([[1.0, 10_000.0], [10.0, 10.0], [10_000.0, 1.0]])

    assert knee(points) == 1


@given(st.lists(st.tuples(MANY, MANY, MANY), min_size=1, max_size=12))
def test_each_recommendation_is_the_best_of_its_kind_on_the_frontier(points: list[Values]) -> None:
    frontier = Frontier(OBJECTIVES)
    frontier.add(trials(points))

    picks = recommendations(frontier.trials, OBJECTIVES)

    assert set(picks) == {"cheapest", "greenest", "fastest", "balanced"}
    assert set(picks.values()) <= set(numbers(frontier))
    for axis, name in enumerate(("cheapest", "greenest", "fastest")):
        assert points[picks[name]][axis] == min(point[axis] for point in points)


@given(POINTS.filter(bool), st.randoms())
def test_recommendations_do_not_depend_on_the_order_of_the_frontier(
    points: list[Values], shuffler: random.Random
) -> None:
    frontier = Frontier(OBJECTIVES)
    frontier.add(trials(points))
    shuffled = list(frontier.trials)
    shuffler.shuffle(shuffled)

    assert recommendations(shuffled, OBJECTIVES) == recommendations(frontier.trials, OBJECTIVES)


def test_a_recommendation_whose_metric_nobody_knows_is_absent() -> None:
    objectives = (Objective.COST, Objective.TPOT)
    known = Trial(
        4,
        Configuration("tensorrt-llm", "h100_sxm"),
        TrialState.COMPLETE,
        {Objective.COST.metric: 1.0, Objective.TPOT.metric: 2.0},
    )

    assert recommendations([known], objectives) == {"cheapest": 4, "fastest": 4, "balanced": 4}


def test_fastest_follows_the_first_latency_of_the_job() -> None:
    objectives = (Objective.TTFT, Objective.TPOT)
    metrics = [(10.0, 1.0), (1.0, 10.0)]
    points = [
        Trial(n, Configuration("tensorrt-llm", "h100_sxm"), TrialState.COMPLETE, {"ttft_mean_ms": a, "tpot_mean_ms": b})
        for n, (a, b) in enumerate(metrics)
    ]

    assert recommendations(points, objectives)["fastest"] == 1
    assert recommendations(points, objectives[::-1])["fastest"] == 0
