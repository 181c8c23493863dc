"""Samples spaces too large to sweep: an Optuna sampler asked and told, each configuration evaluated once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import NSGAIISampler
from optuna.trial import TrialState

from tuner.configuration import KNOBS, Configuration, KnobValue
from tuner.evaluators.pool import EvaluationPool
from tuner.frontier import objective_values
from tuner.search.judge import violations
from tuner.search.sweep import CHUNK, Batch
from tuner.search.waiting import result_of
from tuner.space.space import Space
from tuner.spec import JobSpec
from tuner.trial import Measurement

DEFAULT_SAMPLED_TRIALS: Final = 4_000
"""Trials of a space too large to sweep, where the budget names none."""
POPULATION: Final = 256
"""Configurations of one generation."""
_STALE_GENERATIONS: Final = 20
"""Generations in a row without a new legal configuration after which the search has run dry."""


def planned_trials(spec: JobSpec, space_size: int) -> int:
    """Trials that a sampled job makes: its budget's, else the default, and no more than there are."""
    return min(spec.budget.trials or DEFAULT_SAMPLED_TRIALS, space_size)


def sampled(spec: JobSpec, space: Space, pool: EvaluationPool, cancelled: Callable[[], bool]) -> Iterator[Batch]:
    """New configurations chosen by NSGA-II with the job's constraints, with their evaluations, batch by batch.

    Ends at the budget's trials (`DEFAULT_SAMPLED_TRIALS` without one) or when no new configuration is found. The same
    seed gives the same trials. Raises `CancelledStudyError` when the study is cancelled.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = NSGAIISampler(population_size=POPULATION, seed=spec.seed)
    study = optuna.create_study(directions=["minimize"] * len(spec.objectives), sampler=sampler)
    chooser = _Chooser(space)
    results: dict[Configuration, Measurement] = {}
    wanted = planned_trials(spec, len(space))
    stale = 0
    while len(results) < wanted and stale < _STALE_GENERATIONS:
        asked = [study.ask(dict(chooser.distributions)) for _ in range(POPULATION)]
        chosen = [chooser.configuration(trial.params) for trial in asked]
        new = list(dict.fromkeys(c for c in chosen if c is not None and c not in results))[: wanted - len(results)]
        batch = []
        for start in range(0, len(new), CHUNK):
            part = new[start : start + CHUNK]
            measurements = result_of(pool.screen_these(spec, part), cancelled)
            batch += list(zip(part, measurements, strict=True))
        results.update(batch)
        stale = 0 if batch else stale + 1
        for trial, configuration in zip(asked, chosen, strict=True):
            _tell(study, trial, spec, results.get(configuration) if configuration is not None else None)
        yield batch


_LOAD: Final = ("max_batch_size", "max_num_tokens", "concurrency", "chunked_prefill")
_DEPLOYMENT: Final = tuple(knob for knob in KNOBS if knob not in _LOAD)


class _Chooser:
    """The knobs that a space varies, as Optuna distributions, and the legal configuration of a choice.

    A knob that follows from the others (replicas that fill the GPUs, a batch ceiling that follows the load) is not
    chosen: chosen freely it would almost never fit them.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        settings = {id(block.settings): block.settings for block in space.blocks}
        deployments = [block.deployment for block in space.blocks]
        self._deployment_knobs = _free(_DEPLOYMENT, [deployments])
        self._load_knobs = _free(_LOAD, list(settings.values()))
        self._blocks = {_key(deployment, self._deployment_knobs): n for n, deployment in enumerate(deployments)}
        self._places = {
            number: {_key(setting, self._load_knobs): place for place, setting in enumerate(shared)}
            for number, shared in settings.items()
        }
        values = {knob: list(dict.fromkeys(getattr(d, knob) for d in deployments)) for knob in self._deployment_knobs}
        for knob in self._load_knobs:
            values[knob] = list(dict.fromkeys(getattr(s, knob) for shared in settings.values() for s in shared))
        self._values: Mapping[str, list[KnobValue | None]] = values
        # a place in the list of values: Optuna compares a categorical's choices one by one, thousands of times each
        self.distributions: Mapping[str, BaseDistribution] = {
            knob: IntDistribution(0, len(found) - 1) for knob, found in values.items()
        }

    def configuration(self, places: Mapping[str, int]) -> Configuration | None:
        """The configuration of a choice of knobs, each by its place; `None` where the choice is not legal."""
        params = {knob: self._values[knob][place] for knob, place in places.items()}
        number = self._blocks.get(tuple(params[knob] for knob in self._deployment_knobs))
        if number is None:
            return None
        block = self._space.blocks[number]
        place = self._places[id(block.settings)].get(tuple(params[knob] for knob in self._load_knobs))
        return None if place is None else block.configuration(place)


def _free(knobs: tuple[str, ...], groups: Sequence[Sequence[object]]) -> tuple[str, ...]:
    """The knobs without those that never tell two members of a group apart."""
    kept = knobs
    for knob in knobs:
        fewer = tuple(other for other in kept if other != knob)
        if all(len({_key(member, fewer) for member in group}) == len(group) for group in groups):
            kept = fewer
    return kept


def _key(holder: object, knobs: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(getattr(holder, knob) for knob in knobs)


def _tell(study: optuna.Study, trial: optuna.Trial, spec: JobSpec, measurement: Measurement | None) -> None:
    """Reports a proposal's figures; an illegal choice or a failed evaluation is told as failed."""
    values = None if measurement is None else objective_values(measurement.metrics, spec.objectives)
    if measurement is None or values is None:
        study.tell(trial, state=TrialState.FAIL)
        return
    broken = violations(measurement.metrics, spec.constraints)
    for key, bound in spec.constraints.items():
        trial.set_constraint(key, abs(broken[key] / bound - 1) if key in broken else 0.0)
    study.tell(trial, list(values))
