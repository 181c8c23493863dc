"""The policy as an Optuna sampler: one history, one next proposal, whether the study lived through it or was rebuilt."""

import pytest

from tests.tuner.search.staged.conftest import Machine
from tuner.search.staged.history import Goal, Observation
from tuner.search.staged.policy import Policy
from tuner.search.staged.sampler import SpaceExhaustedError, StagedSampler, ask, new_study, observations_of, tell


def test_a_rebuilt_study_goes_on_as_the_one_that_stopped(machine: Machine) -> None:
    study = new_study(StagedSampler(Policy(machine.landscape(), machine.goal)))
    for _ in range(7):
        trial, row = ask(study)
        found = machine.measure(trial.number, row)
        tell(study, trial, found.values, found.failure)
    again = new_study(StagedSampler(Policy(machine.landscape(), machine.goal)), observations_of(study.trials))
    assert ask(again)[1] == ask(study)[1]


def test_every_proposal_carries_its_reason(machine: Machine) -> None:
    sampler = StagedSampler(Policy(machine.landscape(), machine.goal))
    trial, _ = ask(new_study(sampler))
    reason = sampler.reasons[trial.number]
    assert set(reason.predicted) == set(machine.goal.metrics)
    assert reason.expected_gain > 0


def test_trials_in_flight_are_taken_into_account(machine: Machine) -> None:
    study = new_study(StagedSampler(Policy(machine.landscape(), machine.goal)))
    assert len({ask(study)[1] for _ in range(4)}) == 4


def test_failures_are_remembered(machine: Machine) -> None:
    study = new_study(StagedSampler(Policy(machine.landscape(), machine.goal)), machine.measured([8, 20]))
    told = observations_of(study.trials)
    assert [o.failure is not None for o in told] == [not machine.fits[8], not machine.fits[20]]


def test_says_when_the_space_is_exhausted(machine: Machine) -> None:
    everything = [Observation(n, n, machine.truth[n]) for n in range(len(machine.configurations))]
    study = new_study(StagedSampler(Policy(machine.landscape(), Goal(machine.goal.objectives))), everything)
    with pytest.raises(SpaceExhaustedError):
        ask(study)
