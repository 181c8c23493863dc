"""Runs a staged job: asks the policy for the next measurement, takes it, and stops on budget or plateau."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

from tuner.configuration import Configuration
from tuner.evaluators.pool import EvaluationPool
from tuner.search.bookkeeping import Bookkeeping
from tuner.search.staged.history import Goal
from tuner.search.staged.landscape import Landscape
from tuner.search.staged.policy import Policy
from tuner.search.staged.prices import Timing, row_prices
from tuner.search.staged.sampler import SpaceExhaustedError, StagedSampler, ask, new_study, tell
from tuner.search.staged.stopping import Limits, Spent, exceeded, on_plateau
from tuner.search.staged.survey import Opinion, survey
from tuner.search.waiting import CancelledStudyError, result_of
from tuner.space.replay_table import ReplayTable
from tuner.spec import JobSpec

DEFAULT_TRIALS: Final = 64
"""Measurements at most, where the budget names no limit at all."""
SIMULATED_UP_TO: Final = 3_000
"""Rows up to which the prior is the scheduling simulation; beyond, the closed formula."""
_ROWS_AT_A_TIME: Final = 64


def run_staged(
    spec: JobSpec, table: ReplayTable, books: Bookkeeping, pool: EvaluationPool, cancelled: Callable[[], bool]
) -> str:
    """Measures by the policy until the budget, the plateau or the space ends; the answer says which.

    Rows of the table stand for measurements. Raises `CancelledStudyError` when the study is cancelled.
    """
    rows = table.configurations
    limits = limits_of(spec)
    goal = Goal(tuple(objective.metric for objective in spec.objectives), spec.constraints)
    timing = Timing()
    sampler = StagedSampler(Policy(_landscape(spec, rows, goal, limits, timing, pool, cancelled), goal, spec.seed))
    study = new_study(sampler)
    books.plan(min(limits.trials or len(rows), len(rows)))
    spent, volumes = Spent(), list[float]()
    while True:
        if cancelled():
            raise CancelledStudyError
        if on_plateau(volumes, limits.patience):
            return f"no growth in {limits.patience} measurements"
        try:
            trial, row = ask(study)
        except SpaceExhaustedError:
            return "nothing left that is worth a measurement"
        price = timing.price(rows[row])
        broken = exceeded(limits, spent, price)
        if broken is not None:
            return f"the budget of {broken} is used up"
        found = table.measurements(rows[row])[0]
        books.measured(rows[row], found, asdict(sampler.reasons[trial.number]))
        tell(study, trial, found.metrics, found.failure.kind if found.failure else None)
        spent = spent.plus(price)
        volumes.append(books.hypervolume or 0.0)


def limits_of(spec: JobSpec) -> Limits:
    """The budget of a job in hard terms; `DEFAULT_TRIALS` where it names none."""
    budget = spec.budget
    unlimited = budget.trials is None and budget.minutes is None and budget.gpu_hours is None
    return Limits(DEFAULT_TRIALS if unlimited else budget.trials, budget.minutes, budget.gpu_hours, budget.patience)


def _landscape(
    spec: JobSpec,
    rows: Sequence[Configuration],
    goal: Goal,
    limits: Limits,
    timing: Timing,
    pool: EvaluationPool,
    cancelled: Callable[[], bool],
) -> Landscape:
    """What the simulator says of every row, before any is measured."""
    deep = len(rows) <= SIMULATED_UP_TO
    parts = [rows[start : start + _ROWS_AT_A_TIME] for start in range(0, len(rows), _ROWS_AT_A_TIME)]
    futures = [pool.opinions(spec, part, deep=deep) for part in parts]
    prior = [row for future in futures for row in result_of(future, cancelled)]
    opinions = [Opinion([row.opinions[number] for row in prior]) for number in range(len(prior[0].opinions))]
    return survey(
        rows,
        goal.metrics,
        opinions,
        [row.memory_share for row in prior],
        [row.runs for row in prior],
        row_prices(rows, timing, limits),
    )
