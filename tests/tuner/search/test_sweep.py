"""The sweep: the whole space, in order, with bounded work in flight."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from tuner.evaluators.pool import EvaluationPool
from tuner.search.sweep import CHUNK, CHUNKS_AHEAD, swept
from tuner.search.waiting import CancelledStudyError
from tuner.space.build import build_space
from tuner.spec import JobSpec
from tuner.trial import Measurement

Job = Callable[..., JobSpec]
NARROW = {"tensor_parallel": [1, 2], "weights": ["fp8"], "kv_cache": ["fp8"], "pipeline_parallel": [1, 2]}


class Counted(EvaluationPool):
    """The pool that `inner` is, with a count of the chunks it holds."""

    def __init__(self, inner: EvaluationPool) -> None:
        self.inner, self.processes = inner, inner.processes
        self.given = 0

    def screen(self, spec: JobSpec, start: int, stop: int) -> "Future[list[Measurement]]":
        self.given += 1
        return self.inner.screen(spec, start, stop)


def test_every_configuration_comes_once_in_order(job: Job, pool: EvaluationPool) -> None:
    spec = job(space=NARROW)
    space = build_space(spec)
    assert len(space) > CHUNK

    found = [evaluated for batch in swept(spec, space, pool, lambda: False) for evaluated in batch]

    assert [configuration for configuration, _ in found] == list(space)
    assert [measurement for _, measurement in found[:20]] == pool.screen(spec, 0, 20).result()


def test_no_more_chunks_are_in_flight_than_the_processes_need(job: Job, pool: EvaluationPool) -> None:
    spec = job(
        space={"tensor_parallel": [1], "weights": ["fp8"], "pipeline_parallel": [1], "concurrency": list(range(8, 200))}
    )
    space, counted = build_space(spec), Counted(pool)
    assert len(space) > CHUNK * CHUNKS_AHEAD * pool.processes

    for taken, _ in enumerate(swept(spec, space, counted, lambda: False), 1):
        assert counted.given - taken < CHUNKS_AHEAD * pool.processes


def test_a_cancelled_sweep_stops(job: Job, pool: EvaluationPool) -> None:
    spec = job()
    stop = threading.Event()
    batches = swept(spec, build_space(spec), pool, stop.is_set)

    next(batches)
    stop.set()

    with pytest.raises(CancelledStudyError):
        next(batches)
