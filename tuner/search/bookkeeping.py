"""The books of one run: numbers trials, judges them, keeps the frontier and reports."""

from array import array
from collections.abc import Callable, Sequence

import numpy as np

from tuner.configuration import Configuration
from tuner.frontier import Frontier, Points, objective_values
from tuner.metrics import Objective
from tuner.search.judge import Judge
from tuner.search.refine import SIMULATED_WHOLE_UP_TO, Refinement
from tuner.search.simulate import NumberedBatch
from tuner.search.study import Baseline, Progress, StudyListener, StudyResult
from tuner.search.sweep import Batch
from tuner.spec import JobSpec
from tuner.trial import Trial, TrialState

_STATES = tuple(TrialState)


class Bookkeeping:
    """What a run has found so far. Two passes write into it: the screening of the space, and the simulation."""

    def __init__(
        self, spec: JobSpec, space_size: int, sampler: str, listener: StudyListener, clock: Callable[[], float]
    ) -> None:
        self._spec, self._space_size, self._sampler = spec, space_size, sampler
        self._listener, self._clock = listener, clock
        self._judge = Judge(spec.constraints, spec.objectives)
        self._configurations: list[Configuration] = []
        self._states = bytearray()
        self._open = bytearray()
        self._figures = array("d")
        self._baseline: Baseline | None = None
        self._provisional = Frontier(spec.objectives)
        self._frontier = Frontier(spec.objectives)
        self._planned = space_size
        self._started = self._pass_started = clock()

    def start(self, baseline: Baseline | None) -> None:
        """Takes the default deployment as the measure of the savings and of the hypervolume."""
        self._baseline = baseline
        self._frontier = Frontier(self._spec.objectives, baseline.metrics if baseline else None)
        self._listener.started(self._space_size, self._sampler, baseline)

    def plan(self, trials: int) -> None:
        """Sets how many trials the first pass will make."""
        self._planned, self._pass_started = trials, self._clock()

    def configuration(self, number: int) -> Configuration:
        """The configuration of a trial."""
        return self._configurations[number]

    def screened(self, batch: Batch) -> None:
        """Takes evaluations of the closed formula, the next trials in order."""
        trials = [
            self._judge.trial(number, configuration, measurement, screened=True)
            for number, (configuration, measurement) in enumerate(batch, len(self._configurations))
        ]
        for trial, (_, measurement) in zip(trials, batch, strict=True):
            self._configurations.append(trial.configuration)
            self._states.append(_STATES.index(trial.state))
            self._open.append(not self._judge.hopeless(measurement))
            self._figures.extend(_figures(trial, self._spec.objectives))
        self._provisional.add(trials)
        elapsed = self._clock() - self._pass_started
        evaluated = len(self._configurations)
        eta = elapsed / evaluated * (self._planned - evaluated) if evaluated else None
        progress = Progress(evaluated, self._planned, len(self._provisional.trials), None, eta)
        self._listener.trials(trials, progress, _numbers(self._provisional))

    def refinement(self) -> Refinement:
        """Ends the first pass: what the second has to choose from."""
        self._planned, self._pass_started = len(self._configurations), self._clock()
        points: Points = np.array(self._figures).reshape(-1, len(self._spec.objectives))
        failed = np.frombuffer(bytes(self._states), dtype=np.uint8) == _STATES.index(TrialState.FAILED)
        is_small = len(points) <= SIMULATED_WHOLE_UP_TO
        return Refinement(points, ~failed if is_small else np.frombuffer(bytes(self._open), dtype=np.bool_))

    def simulated(self, batch: NumberedBatch, refinement: Refinement) -> None:
        """Takes simulated evaluations: they replace the trials of the same numbers."""
        trials = [self._judge.trial(*evaluated) for evaluated in batch]
        for trial in trials:
            self._states[trial.number] = _STATES.index(trial.state)
        points = np.array([_figures(trial, self._spec.objectives) for trial in trials])
        feasible = np.array([trial.state is TrialState.COMPLETE for trial in trials])
        refinement.tell([trial.number for trial in trials], points, feasible)
        self._frontier.add(trials)
        done, hypervolume = len(self._configurations), self._frontier.hypervolume()
        progress = Progress(done, self._planned, len(self._frontier.trials), hypervolume, self._eta(refinement))
        self._listener.trials(trials, progress, _numbers(self._frontier))

    def result(self, *, cancelled: bool) -> StudyResult:
        """What the run found."""
        return StudyResult(
            space_size=self._space_size,
            evaluated=len(self._configurations),
            feasible=self._states.count(_STATES.index(TrialState.COMPLETE)),
            failed=self._states.count(_STATES.index(TrialState.FAILED)),
            wall_seconds=self._clock() - self._started,
            sampler=self._sampler,
            hypervolume=self._frontier.hypervolume(),
            frontier=_numbers(self._frontier),
            baseline=self._baseline,
            misses=self._judge.misses(),
            cancelled=cancelled,
        )

    def _eta(self, refinement: Refinement) -> float:
        """Seconds for the candidates that stand open now; simulating some of them rules others out."""
        done = int(refinement.done.sum())
        elapsed = self._clock() - self._pass_started
        return elapsed / done * refinement.waiting() if done else 0.0


def _figures(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...]:
    return objective_values(trial.metrics, objectives) or (float("nan"),) * len(objectives)


def _numbers(frontier: Frontier) -> tuple[int, ...]:
    return tuple(sorted(trial.number for trial in frontier.trials))
