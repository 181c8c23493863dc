"""Runs a job by its evaluator: a simulated sweep, a replayed table, or measurements chosen one by one."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from tuner.configuration import Configuration
from tuner.errors import SpecError
from tuner.evaluators.pool import EvaluationPool
from tuner.evaluators.source import TableSource, Workshop
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
from tuner.space.measured import is_simulated, reference_row
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
    workshop: Workshop | None = None,
    clock: Clock = time.monotonic,
) -> StudyResult:
    """Runs a job to its end, or until the listener cancels it.

    A measuring job starts from what `memory` keeps, goes on after the `earlier` trials of its own, and starts engines in
    its `workshop`. Raises `SpecError` when the spec means nothing that can be run, `KernelDataError` when the machine
    lacks the data, `EngineError` when it cannot run the engine, and whatever the listener and the memory raise.
    """
    choices = choices_of(spec)
    if not spec.measures and spec.replay is None:
        return _simulate(spec, choices, listener, pool, clock)
    staged = spec.evaluator is not EvaluatorName.REPLAY
    books = MeasuredBooks(spec, len(choices), "staged" if staged else "exhaustive", listener, clock)
    try:
        found = _measure(spec, choices, listener, pool, memory or NoMemory(), earlier, workshop, books)
    except CancelledStudyError:
        return books.result(Findings(), cancelled=True)
    return books.result(found, cancelled=False)


def _measure(
    spec: JobSpec,
    choices: Sequence[Configuration],
    listener: StudyListener,
    pool: EvaluationPool,
    memory: Memory,
    earlier: Sequence[Trial],
    workshop: Workshop | None,
    books: MeasuredBooks,
) -> Findings:
    if spec.evaluator is EvaluatorName.REPLAY:
        books.start()
        replay(table_of(spec), books, listener.cancelled)
        return Findings()
    from tuner.search.staged.run import run_staged  # Optuna takes a second to import

    if spec.replay is not None:
        books.start()
        source = TableSource(table_of(spec))
        return run_staged(spec, choices, source, books, memory, pool, listener.cancelled, earlier)
    if workshop is None:
        raise ValueError("a job that starts engines needs a workshop; give its folders")
    from tuner.evaluators.measure import opened  # the engines' libraries are not for jobs that only simulate

    with opened(spec, workshop) as (_, engine_source):
        rows = _legal(choices, engine_source.illegal)
        books.start()
        prior = pool if is_simulated(spec) else None
        reference = reference_row(spec, rows)
        return run_staged(
            spec, rows, engine_source, books, memory, prior, listener.cancelled, earlier, reference=reference
        )


def _legal(choices: Sequence[Configuration], illegal: Callable[[Configuration], str | None]) -> Sequence[Configuration]:
    """The configurations that the engine takes; raises `SpecError` with its reason where it takes none."""
    refused = [illegal(configuration) for configuration in choices]
    rows = [c for c, reason in zip(choices, refused, strict=True) if reason is None]
    if not rows:
        raise SpecError.of("space", f"none of the configurations can be measured here: {refused[0]}")
    return rows


def _simulate(
    spec: JobSpec, space: Sequence[Configuration], listener: StudyListener, pool: EvaluationPool, clock: Clock
) -> StudyResult:
    assert isinstance(space, Space)
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
