"""Runs a job by its evaluator: a simulated sweep, a replayed table, or measurements chosen one by one."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from tuner.configuration import Configuration
from tuner.evaluators.pool import EvaluationPool
from tuner.evaluators.source import TableSource
from tuner.search.baseline import find_baseline
from tuner.search.bookkeeping import Bookkeeping
from tuner.search.measured_books import MeasuredBooks
from tuner.search.memory import Memory, NoMemory
from tuner.search.replay import replay
from tuner.search.simulate import simulated
from tuner.search.study import Findings, StudyListener, StudyResult
from tuner.search.sweep import swept
from tuner.search.waiting import CancelledStudyError
from tuner.space.choice import choices_of
from tuner.space.meaning import Meaning, meaning_of
from tuner.space.replay_table import table_of
from tuner.space.space import Space
from tuner.spec import EvaluatorName, JobSpec
from tuner.trial import Trial

EXHAUSTIVE_UP_TO: Final = 250_000
"""Simulated spaces up to this size are swept whole; larger ones are sampled."""

Clock = Callable[[], float]


def run_job(
    spec: JobSpec,
    listener: StudyListener,
    pool: EvaluationPool,
    memory: Memory | None = None,
    earlier: Sequence[Trial] = (),
    clock: Clock = time.monotonic,
) -> StudyResult:
    """Runs a job to its end, or until the listener cancels it.

    A measuring job starts from what `memory` keeps, and goes on after the `earlier` trials of its own. Raises
    `SpecError` when the spec means nothing that can be run, `KernelDataError` when the machine lacks the data, and
    whatever the listener and the memory raise.
    """
    choices = choices_of(spec)
    if isinstance(choices, Space):
        return _simulate(spec, choices, listener, pool, clock)
    return _measure(spec, choices, listener, pool, memory or NoMemory(), earlier, clock)


def _measure(
    spec: JobSpec,
    choices: Sequence[Configuration],
    listener: StudyListener,
    pool: EvaluationPool,
    memory: Memory,
    earlier: Sequence[Trial],
    clock: Clock,
) -> StudyResult:
    staged = spec.evaluator is EvaluatorName.STAGED
    books = MeasuredBooks(spec, len(choices), "staged" if staged else "exhaustive", listener, clock)
    books.start()
    try:
        if not staged:
            replay(table_of(spec), books, listener.cancelled)
            return books.result(Findings(), cancelled=False)
        from tuner.search.staged.run import run_staged  # Optuna takes a second to import

        source = TableSource(table_of(spec))
        found = run_staged(spec, choices, source, books, memory, pool, listener.cancelled, earlier)
    except CancelledStudyError:
        return books.result(Findings(), cancelled=True)
    return books.result(found, cancelled=False)


def _simulate(spec: JobSpec, space: Space, listener: StudyListener, pool: EvaluationPool, clock: Clock) -> StudyResult:
    sampler = "exhaustive" if len(space) <= EXHAUSTIVE_UP_TO else "nsga2"
    books = Bookkeeping(spec, len(space), sampler, listener, clock)
    try:
        _sweep(meaning_of(spec), space, books, pool, listener.cancelled)
    except CancelledStudyError:
        return books.result(cancelled=True)
    return books.result(cancelled=False)


def _sweep(
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
