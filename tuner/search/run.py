"""Runs a job by its evaluator: a simulated sweep, a replayed table, or measurements chosen one by one."""

import time
from collections.abc import Callable
from typing import Final

from tuner.evaluators.pool import EvaluationPool
from tuner.search.baseline import find_baseline
from tuner.search.bookkeeping import Bookkeeping
from tuner.search.replay import replay
from tuner.search.simulate import simulated
from tuner.search.study import StudyListener, StudyResult
from tuner.search.sweep import swept
from tuner.search.waiting import CancelledStudyError
from tuner.space.choice import choices_of
from tuner.space.meaning import Meaning, meaning_of
from tuner.space.replay_table import table_of
from tuner.space.space import Space
from tuner.spec import EvaluatorName, JobSpec

EXHAUSTIVE_UP_TO: Final = 250_000
"""Simulated spaces up to this size are swept whole; larger ones are sampled."""


def run_job(
    spec: JobSpec, listener: StudyListener, pool: EvaluationPool, clock: Callable[[], float] = time.monotonic
) -> StudyResult:
    """Runs a job to its end, or until the listener cancels it.

    Raises `SpecError` when the spec means nothing that can be run, `KernelDataError` when the machine lacks the
    data, and whatever the listener raises.
    """
    choices = choices_of(spec)
    books = Bookkeeping(spec, len(choices), _sampler(spec, len(choices)), listener, clock)
    try:
        if isinstance(choices, Space):
            _simulate(meaning_of(spec), choices, books, pool, listener.cancelled)
        else:
            books.start(None)
            _measure(spec, books, pool, listener.cancelled)
    except CancelledStudyError:
        return books.result(cancelled=True)
    return books.result(cancelled=False)


def _sampler(spec: JobSpec, size: int) -> str:
    if spec.evaluator is EvaluatorName.STAGED:
        return "staged"
    return "exhaustive" if spec.evaluator is EvaluatorName.REPLAY or size <= EXHAUSTIVE_UP_TO else "nsga2"


def _measure(spec: JobSpec, books: Bookkeeping, pool: EvaluationPool, cancelled: Callable[[], bool]) -> None:
    if spec.evaluator is EvaluatorName.REPLAY:
        replay(table_of(spec), books, cancelled)
        return
    from tuner.search.staged.run import run_staged  # Optuna takes a second to import

    books.stopped = run_staged(spec, table_of(spec), books, pool, cancelled)


def _simulate(
    meaning: Meaning, space: Space, books: Bookkeeping, pool: EvaluationPool, cancelled: Callable[[], bool]
) -> None:
    """The default deployment, the whole space by the closed formula, then what the frontier may hold."""
    spec = meaning.spec
    books.start(find_baseline(meaning, pool, cancelled))
    if len(space) <= EXHAUSTIVE_UP_TO:
        books.plan(len(space))
        for batch in swept(spec, space, pool, cancelled):
            books.screened(batch)
    else:
        from tuner.search.sampler import planned_trials, sampled  # Optuna takes a second to import

        books.plan(planned_trials(spec, len(space)))
        for batch in sampled(spec, space, pool, cancelled):
            books.screened(batch)
    refinement = books.refinement()
    for simulated_batch in simulated(spec, refinement, books.configuration, pool, cancelled):
        books.simulated(simulated_batch, refinement)
