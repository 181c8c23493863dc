"""Every sampler as one function: the rows that it measures of a landscape, in order."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from benchmarks.search_study.tables import Case
from tuner.configuration import KNOBS, Configuration
from tuner.frontier import non_dominated
from tuner.search.staged.history import Observation
from tuner.search.staged.policy import Policy
from tuner.search.staged.sampler import SpaceExhaustedError, StagedSampler, ask, new_study, tell

Run = Callable[[Case, int, int], list[int]]
"""A case, a seed and a number of measurements: the rows measured, in order."""

_STALE = 20
"""Proposals in a row that are illegal or known, after which a peer is handed a new row at random."""


def ours(case: Case, seed: int, count: int) -> list[int]:
    """Our sampler, one measurement at a time."""
    return staged(Policy(case.landscape(), case.goal, seed), case, seed, count, parallel=1)


def ours_parallel(case: Case, seed: int, count: int) -> list[int]:
    """Our sampler with 4 measurements in flight; the order in which they end is random."""
    return staged(Policy(case.landscape(), case.goal, seed), case, seed, count, parallel=4)


def ours_misled(case: Case, seed: int, count: int) -> list[int]:
    """Our sampler with a prior permuted among rows of the same precision."""
    return staged(Policy(case.landscape(permute_seed=seed), case.goal, seed), case, seed, count, parallel=1)


def ours_blind(case: Case, seed: int, count: int) -> list[int]:
    """Our sampler without any prior."""
    return staged(Policy(case.landscape(blind=True), case.goal, seed), case, seed, count, parallel=1)


def staged(policy: Policy, case: Case, seed: int, count: int, parallel: int) -> list[int]:
    """Runs our sampler by ask-and-tell, as a job does; rows in the order in which their measurements end."""
    study, random = new_study(StagedSampler(policy)), np.random.default_rng([seed, 11])
    flight: list[tuple[optuna.Trial, int]] = []
    rows: list[int] = []
    asked = 0
    while len(rows) < count:
        try:
            while len(flight) < parallel and asked < count:
                flight.append(ask(study))
                asked += 1
        except SpaceExhaustedError:
            asked = count
        if not flight:
            break
        trial, row = flight.pop(int(random.integers(len(flight))))
        found = case.observation(trial.number, row)
        tell(study, trial, found.values, found.failure)
        rows.append(row)
    return rows


def simulated_frontier_first(case: Case, seed: int, count: int) -> list[int]:
    """The simulated frontier in random order, then the next one behind it, and so on."""
    landscape, random = case.landscape(), np.random.default_rng(seed)
    logs = np.stack([landscape.log_priors[metric][0] for metric in case.goal.objectives], axis=1)
    kept = np.ones(len(logs), dtype=bool)
    for metric, bound in case.goal.bounds.items():
        kept &= landscape.log_priors[metric][0] <= np.log(bound)
    if landscape.log_memory is not None:
        kept &= landscape.log_memory <= 0
    rows: list[int] = []
    left = np.flatnonzero(kept)
    while len(left) and len(rows) < count:
        front = left[non_dominated(logs[left])]
        rows += [int(row) for row in random.permutation(front)]
        left = np.setdiff1d(left, front)
    return rows[:count]


def peer(make: Callable[[int], BaseSampler]) -> Run:
    """A plain Optuna sampler over the knobs, with the limits as Optuna's constraints; a row is measured once."""

    def run(case: Case, seed: int, count: int) -> list[int]:
        places = {configuration: row for row, configuration in enumerate(case.configurations)}
        spaces = _distributions(case.configurations)
        study = optuna.create_study(directions=["minimize"] * len(case.goal.objectives), sampler=make(seed))
        random, rows, stale = np.random.default_rng([seed, 13]), list[int](), 0
        while len(rows) < min(count, len(places)):
            trial = study.ask(dict(spaces))
            row = places.get(_configuration(case.configurations[0], trial.params))
            new = row is not None and row not in rows
            stale = 0 if new else stale + 1
            if stale > _STALE:
                row = int(random.choice(np.setdiff1d(np.arange(len(places)), rows)))
                study.tell(trial, state=TrialState.FAIL)
                study.add_trial(_told(case, row, spaces))
                rows.append(row)
                stale = 0
                continue
            if new and row is not None:
                rows.append(row)
            _tell(study, trial, case, row)
        return rows

    return run


def _excess(case: Case, found: Observation) -> dict[str, float]:
    """How far a measurement is over its limits (log); what is positive is infeasible."""
    return {metric: float(np.log(found.values[metric] / bound)) for metric, bound in case.goal.bounds.items()}


def _tell(study: optuna.Study, trial: optuna.Trial, case: Case, row: int | None) -> None:
    found = None if row is None else case.observation(0, row)
    if found is None or found.failure is not None:
        study.tell(trial, state=TrialState.FAIL)
        return
    for metric, excess in _excess(case, found).items():
        trial.set_constraint(metric, excess)
    study.tell(trial, [found.values[metric] for metric in case.goal.objectives])


def _told(case: Case, row: int, spaces: Mapping[str, CategoricalDistribution]) -> FrozenTrial:
    found, configuration = case.observation(0, row), case.configurations[row]
    params = {knob: getattr(configuration, knob) for knob in spaces}
    if found.failure is not None:
        return optuna.trial.create_trial(state=TrialState.FAIL, params=params, distributions=dict(spaces))
    return optuna.trial.create_trial(
        params=params,
        distributions=dict(spaces),
        values=[found.values[metric] for metric in case.goal.objectives],
        constraints=_excess(case, found),
    )


def _distributions(configurations: tuple[Configuration, ...]) -> dict[str, CategoricalDistribution]:
    found = {}
    for knob in KNOBS:
        values = list(dict.fromkeys(getattr(configuration, knob) for configuration in configurations))
        if len(values) > 1:
            found[knob] = CategoricalDistribution(values)
    return found


def _configuration(template: Configuration, params: Mapping[str, object]) -> Configuration:
    return Configuration.from_dict({**template.to_dict(), **params})  # type: ignore[dict-item]


def samplers() -> dict[str, Run]:
    """Every sampler by name; GPSampler where torch is installed (`uv sync --group gpsampler`)."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: dict[str, Run] = {
        "paretune": ours,
        "random": peer(lambda seed: RandomSampler(seed=seed)),
        "tpe": peer(lambda seed: TPESampler(seed=seed)),
        "nsga2": peer(lambda seed: NSGAIISampler(seed=seed, population_size=16)),
        "simulated-first": simulated_frontier_first,
        "paretune, 4 at once": ours_parallel,
        "paretune, prior permuted": ours_misled,
        "paretune, no prior": ours_blind,
    }
    if find_spec("torch") is not None:
        found["gpsampler"] = peer(lambda seed: optuna.samplers.GPSampler(seed=seed, deterministic_objective=True))
    return found
