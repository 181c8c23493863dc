"""Runs a simulated job: the default deployment, the whole space by the closed formula, then what the frontier may hold."""

import time
from collections.abc import Callable
from typing import Final

from tuner.evaluators.pool import EvaluationPool
from tuner.search.baseline import find_baseline
from tuner.search.bookkeeping import Bookkeeping
from tuner.search.simulate import simulated
from tuner.search.study import StudyListener, StudyResult
from tuner.search.sweep import swept
from tuner.search.waiting import CancelledStudyError
from tuner.space.build import build_space
from tuner.space.meaning import Meaning, meaning_of
from tuner.space.space import Space
from tuner.spec import JobSpec

EXHAUSTIVE_UP_TO: Final = 250_000
"""Simulated spaces up to this size are swept whole; larger ones are sampled."""


def run_job(
    spec: JobSpec, listener: StudyListener, pool: EvaluationPool, clock: Callable[[], float] = time.monotonic
) -> StudyResult:
    """Runs a simulated job to its end, or until the listener cancels it.

    Raises `SpecError` when the spec means nothing that can be run, `KernelDataError` when the machine lacks the
    data, and whatever the listener raises.
    """
    space = build_space(spec)
    books = Bookkeeping(spec, len(space), "exhaustive" if len(space) <= EXHAUSTIVE_UP_TO else "nsga2", listener, clock)
    try:
        _run(meaning_of(spec), space, books, pool, listener.cancelled)
    except CancelledStudyError:
        return books.result(cancelled=True)
    return books.result(cancelled=False)


def _run(
    meaning: Meaning, space: Space, books: Bookkeeping, pool: EvaluationPool, cancelled: Callable[[], bool]
) -> None:
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
