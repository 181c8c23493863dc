"""Simulates in depth what the frontier may hold, batch by batch, over all the processes of the pool."""

from collections.abc import Callable, Iterator, Sequence

from tuner.configuration import Configuration
from tuner.evaluators.pool import EvaluationPool
from tuner.search.refine import Refinement
from tuner.search.waiting import result_of
from tuner.spec import JobSpec
from tuner.trial import Measurement

NumberedBatch = Sequence[tuple[int, Configuration, Measurement]]


def simulated(
    spec: JobSpec,
    refinement: Refinement,
    configuration: Callable[[int], Configuration],
    pool: EvaluationPool,
    cancelled: Callable[[], bool],
) -> Iterator[NumberedBatch]:
    """Trials with their simulated distributions, until the refinement asks for no more.

    The caller tells the refinement of each batch before it takes the next. Raises `CancelledStudyError` when the
    study is cancelled.
    """
    while numbers := refinement.next_batch():
        parts = [numbers[start :: pool.processes] for start in range(pool.processes)]
        work = [(part, [configuration(number) for number in part]) for part in parts if part]
        futures = [pool.simulate(spec, configurations) for _, configurations in work]
        batch: list[tuple[int, Configuration, Measurement]] = []
        for (part, configurations), future in zip(work, futures, strict=True):
            measurements = result_of(future, cancelled)
            batch += zip(part, configurations, measurements, strict=True)
        yield batch
