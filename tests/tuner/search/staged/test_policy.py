"""The measuring policy: repeatable, blind to the order of endings, never twice the same, and better than chance."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tuner.search.staged.conftest import Machine
from tuner.search.staged.history import Observation
from tuner.search.staged.improvement import hypervolume
from tuner.search.staged.policy import Policy
from tuner.search.staged.prices import Timing, row_prices
from tuner.search.staged.stopping import Limits
from tuner.trial import FailureKind


def run(machine: Machine, policy: Policy, count: int) -> list[int]:
    rows: list[int] = []
    for _ in range(count):
        proposal = policy.propose(machine.measured(rows))
        assert proposal is not None
        rows.append(proposal.row)
    return rows


def volumes(machine: Machine, rows: list[int]) -> list[float]:
    logs = np.log([[figures[o] for o in machine.goal.objectives] for figures in machine.truth])
    kept = [fits and machine.goal.keeps(figures) for fits, figures in zip(machine.fits, machine.truth, strict=True)]
    reference = logs[kept].max(axis=0) + 1e-9
    whole = hypervolume(logs[kept], reference)
    return [
        hypervolume(logs[[row for row in rows[:n] if kept[row]]], reference) / whole for n in range(1, len(rows) + 1)
    ]


def test_finds_the_frontier_in_a_fraction_of_the_space(machine: Machine) -> None:
    found = volumes(machine, run(machine, Policy(machine.landscape(), machine.goal), 14))
    assert found[-1] > 0.97
    assert found == sorted(found)


def test_the_same_seed_and_history_give_the_same_proposals(machine: Machine) -> None:
    first = run(machine, Policy(machine.landscape(), machine.goal, seed=3), 8)
    assert first == run(machine, Policy(machine.landscape(), machine.goal, seed=3), 8)


def test_without_a_simulator_it_spreads_out_first_and_still_gets_there(machine: Machine) -> None:
    policy = Policy(machine.landscape(prior=False), machine.goal, seed=1)
    rows = run(machine, policy, 24)
    proposal = policy.propose([])
    assert proposal is not None
    assert proposal.reason.rule == "space_filling"
    assert volumes(machine, rows)[-1] > 0.9


@settings(max_examples=15, deadline=None)
@given(data=st.data(), rows=st.lists(st.integers(0, 71), min_size=1, max_size=12, unique=True))
def test_the_order_in_which_trials_ended_does_not_matter(
    machine: Machine, data: st.DataObject, rows: list[int]
) -> None:
    policy = Policy(machine.landscape(), machine.goal)
    observations = machine.measured(rows)
    shuffled = data.draw(st.permutations(observations))
    assert policy.propose(observations) == policy.propose(shuffled)


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.integers(0, 71), max_size=20, unique=True), pending=st.lists(st.integers(0, 71), max_size=4))
def test_nothing_measured_or_in_flight_is_proposed(machine: Machine, rows: list[int], pending: list[int]) -> None:
    proposal = Policy(machine.landscape(), machine.goal).propose(machine.measured(rows), pending)
    assert proposal is not None
    assert proposal.row not in {*rows, *pending}
    assert 0 <= proposal.reason.chance_feasible <= 1
    assert all(p.low <= p.value <= p.high for p in proposal.reason.predicted.values())


def test_four_in_flight_are_four_rows(machine: Machine) -> None:
    policy = Policy(machine.landscape(), machine.goal)
    pending: list[int] = []
    for _ in range(4):
        proposal = policy.propose([], pending)
        assert proposal is not None
        pending.append(proposal.row)
    assert len(set(pending)) == 4


def test_ends_when_no_row_is_left(machine: Machine) -> None:
    observations = [Observation(n, n, machine.truth[n]) for n in range(len(machine.configurations))]
    assert Policy(machine.landscape(), machine.goal).propose(observations) is None


def test_a_repeat_is_asked_where_a_limit_is_near(machine: Machine) -> None:
    values = {**machine.truth[30], "ttft_mean_ms": 249.5}
    others = [Observation(n, n, machine.truth[n]) for n in range(len(machine.configurations)) if n not in (30, 71)]
    policy = Policy(machine.landscape(), machine.goal, most_repeats=2)
    best = {o: 0.5 * min(t[o] for t in machine.truth) for o in machine.goal.objectives}
    proposal = policy.propose([*others, Observation(30, 30, values | best)])
    assert proposal is not None
    assert (proposal.row, proposal.reason.rule) == (30, "repeat")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_simulator_that_misleads_is_left_behind(machine: Machine, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(machine.configurations))
    lying = Machine(
        machine.configurations,
        machine.truth,
        machine.fits,
        tuple(machine.simulated[row] for row in order),
        tuple(machine.memory[row] for row in order),
        machine.goal,
    )
    policy = Policy(lying.landscape(), machine.goal, seed)
    rows = run(machine, policy, 24)
    proposal = policy.propose(machine.measured(rows))
    assert proposal is not None
    assert proposal.reason.prior_trust["tpot_mean_ms"] < 0.1
    assert volumes(machine, rows)[-1] > 0.8


def test_a_lost_machine_is_not_the_configurations_fault(machine: Machine) -> None:
    policy = Policy(machine.landscape(), machine.goal)
    first = policy.propose([])
    assert first is not None
    again = policy.propose([Observation(0, first.row, {}, FailureKind.LOST)])
    assert again is not None
    assert again.row == first.row


def test_where_gpu_hours_are_short_a_warm_deployment_is_preferred(machine: Machine) -> None:
    timing, limits = Timing(start_minutes=60, window_minutes=1), Limits(gpu_hours=50)
    prices = row_prices(machine.configurations, timing, limits)
    plain = machine.landscape()
    landscape = replace(plain, price=prices[0], start_price=prices[1])
    observations = machine.measured([40])
    warm = int(landscape.build[40])
    proposal = Policy(landscape, machine.goal).propose(observations, warm=[warm])
    assert proposal is not None
    assert landscape.build[proposal.row] == warm
