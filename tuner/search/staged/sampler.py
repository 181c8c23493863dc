"""The measuring policy as an Optuna sampler, driven by ask-and-tell; a study is rebuilt from a job's trials.

Optuna sees one parameter, the row of the space: the policy alone knows what the rows mean.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuner.search.staged.history import Observation, Reason
from tuner.search.staged.policy import Policy
from tuner.trial import FailureKind

ROW: Final = "row"
_METRICS: Final = "metrics"
_FAILURE: Final = "failure"


class SpaceExhaustedError(Exception):
    """No row is left that is worth a measurement: the search is at its end, which is no failure."""


class StagedSampler(BaseSampler):
    """Proposes rows of a space by a policy; `reasons` holds why, by trial number.

    `warm`: deployments that are up and free, whose other loads are cheaper to measure. `affordable`: which rows the
    budget still has room for; `None` for all.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.reasons: dict[int, Reason] = {}
        self.warm: Sequence[int] = ()
        self.affordable: NDArray[np.bool_] | None = None
        self._rows = IntDistribution(0, len(policy.landscape) - 1)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """The one parameter."""
        return {ROW: self._rows}

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: Mapping[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """The policy's choice, given all trials of the study; raises `SpaceExhaustedError`."""
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        pending = [int(o.params[ROW]) for o in others if o.state is TrialState.RUNNING and ROW in o.params]
        proposal = self.policy.propose(observations_of(others), pending, self.warm, self.affordable)
        if proposal is None:
            raise SpaceExhaustedError
        self.reasons[trial.number] = proposal.reason
        return {ROW: proposal.row}

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        """Never asked: the row is the only parameter."""
        raise ValueError(f"this study has one parameter, {ROW!r}; {param_name!r} is none")

    def reseed_rng(self) -> None:
        """Nothing to do: the policy draws from its seed and the history alone."""


def new_study(sampler: StagedSampler, observations: Sequence[Observation] = ()) -> Study:
    """A study in memory with what was measured so far."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [StudyDirection.MINIMIZE] * len(sampler.policy.goal.objectives)
    study = optuna.create_study(directions=directions, sampler=sampler)
    for observation in sorted(observations, key=lambda known: known.number):
        study.add_trial(_frozen(sampler, observation))
    return study


def ask(study: Study) -> tuple[optuna.Trial, int]:
    """A new trial of the study and its row; raises `SpaceExhaustedError`."""
    sampler = study.sampler
    assert isinstance(sampler, StagedSampler)
    trial = study.ask({ROW: IntDistribution(0, len(sampler.policy.landscape) - 1)})
    return trial, int(trial.params[ROW])


def tell(study: Study, trial: optuna.Trial, values: Mapping[str, float], failure: FailureKind | None) -> None:
    """Reports a measurement: its metrics, or why it failed."""
    sampler = study.sampler
    assert isinstance(sampler, StagedSampler)
    objectives = sampler.policy.goal.objectives
    trial.set_user_attr(_METRICS, dict(values))
    trial.set_user_attr(_FAILURE, failure.value if failure else None)
    if failure is not None or any(metric not in values for metric in objectives):
        study.tell(trial, state=TrialState.FAIL)
        return
    study.tell(trial, [values[metric] for metric in objectives])


def add(study: Study, row: int, values: Mapping[str, float], failure: FailureKind | None) -> int:
    """Puts a measurement into the study that the policy did not ask for; gives its number."""
    sampler = study.sampler
    assert isinstance(sampler, StagedSampler)
    study.add_trial(_frozen(sampler, Observation(0, row, values, failure)))
    return len(study.get_trials(deepcopy=False)) - 1


def observations_of(trials: Sequence[FrozenTrial]) -> list[Observation]:
    """What finished trials of a study tell the policy."""
    found = []
    for trial in trials:
        if trial.state.is_finished() and ROW in trial.params and _METRICS in trial.user_attrs:
            failure = trial.user_attrs.get(_FAILURE)
            kind = FailureKind(failure) if failure else None
            found.append(Observation(trial.number, int(trial.params[ROW]), trial.user_attrs[_METRICS], kind))
    return found


def _frozen(sampler: StagedSampler, observation: Observation) -> FrozenTrial:
    objectives = sampler.policy.goal.objectives
    complete = observation.failure is None and all(metric in observation.values for metric in objectives)
    return create_trial(
        state=TrialState.COMPLETE if complete else TrialState.FAIL,
        params={ROW: observation.row},
        distributions={ROW: IntDistribution(0, len(sampler.policy.landscape) - 1)},
        values=[observation.values[metric] for metric in objectives] if complete else None,
        user_attrs={
            _METRICS: dict(observation.values),
            _FAILURE: observation.failure.value if observation.failure else None,
        },
    )
