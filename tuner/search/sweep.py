"""Sweeps a whole space in chunks, over all the processes of the pool, with bounded memory."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Final

from tuner.configuration import Configuration
from tuner.evaluators.pool import EvaluationPool
from tuner.search.waiting import result_of
from tuner.space.space import Space
from tuner.spec import JobSpec
from tuner.trial import Measurement

CHUNK: Final = 256
"""Configurations evaluated at a time by one process: some tens of milliseconds."""
CHUNKS_AHEAD: Final = 3
"""Chunks in flight per process, so that none waits for this one to write its results."""

Batch = Sequence[tuple[Configuration, Measurement]]


def swept(spec: JobSpec, space: Space, pool: EvaluationPool, cancelled: Callable[[], bool]) -> Iterator[Batch]:
    """Every configuration of the space with its evaluation, in order, a chunk at a time.

    Raises `CancelledStudyError` when the study is cancelled.
    """
    starts = iter(range(0, len(space), CHUNK))
    flight: deque[tuple[int, Future[list[Measurement]]]] = deque()
    while True:
        for start in starts:
            flight.append((start, pool.screen(spec, start, min(start + CHUNK, len(space)))))
            if len(flight) >= pool.processes * CHUNKS_AHEAD:
                break
        if not flight:
            return
        start, future = flight.popleft()
        measurements = result_of(future, cancelled)
        yield list(zip(space[start : start + len(measurements)], measurements, strict=True))
