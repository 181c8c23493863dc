"""Processes that evaluate: started early, because their imports take longest, and gone when their owner is.

The children come from a fork server, so none inherits the owner's threads or database connections.
"""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache, lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tuner.configuration import Configuration
from tuner.processes import follow_parent
from tuner.space.build import build_space
from tuner.space.meaning import meaning_of
from tuner.space.space import Space
from tuner.spec import JobSpec
from tuner.trial import Measurement

if TYPE_CHECKING:
    from tuner.evaluators.prior import PriorRow
    from tuner.evaluators.simulate import SimulateEvaluator
    from tuner.simulator.kernel_data import KernelData

_SPECS_KEPT = 4


class EvaluationPool:
    """A pool of evaluating processes, one a core unless told otherwise.

    Entering it starts the processes and returns at once; leaving it ends them, also in the middle of their work.
    """

    def __init__(self, processes: int | None = None) -> None:
        self.processes = processes or os.cpu_count() or 1
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tuner.evaluators.simulate"])
        self._executor = ProcessPoolExecutor(self.processes, mp_context=context, initializer=follow_parent)

    def __enter__(self) -> Self:
        for _ in range(self.processes):
            self._executor.submit(_warm_up)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        children = list((self._executor._processes or {}).values())
        self._executor.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.kill()  # they hold nothing to put in order, and a long evaluation does not hear a polite signal
        for child in children:
            child.join(timeout=5)

    def screen(self, spec: JobSpec, start: int, stop: int) -> "Future[list[Measurement]]":
        """The mean figures of the configurations numbered `start` to `stop` (excluded) in the job's space."""
        return self._executor.submit(_screen_range, spec.model_dump_json(), start, stop)

    def screen_these(self, spec: JobSpec, configurations: Sequence[Configuration]) -> "Future[list[Measurement]]":
        """The mean figures of some configurations of a job, in their order."""
        return self._executor.submit(_screen, spec.model_dump_json(), tuple(configurations))

    def simulate(self, spec: JobSpec, configurations: Sequence[Configuration]) -> "Future[list[Measurement]]":
        """The figures of some configurations of a job with their distributions, in their order."""
        return self._executor.submit(_simulate, spec.model_dump_json(), tuple(configurations))

    def opinions(
        self, spec: JobSpec, configurations: Sequence[Configuration], *, deep: bool
    ) -> "Future[list[PriorRow]]":
        """What the simulations say of some configurations before they are measured, in their order."""
        return self._executor.submit(_opinions, spec.model_dump_json(), tuple(configurations), deep)


def _opinions(spec_json: str, configurations: Sequence[Configuration], deep: bool) -> "list[PriorRow]":
    from tuner.evaluators.prior import PriorEvaluator

    meaning = meaning_of(JobSpec.model_validate_json(spec_json))
    prior = PriorEvaluator(meaning, _kernels(), "simulate" if deep else "screen")
    return [prior.opinions(configuration) for configuration in configurations]


def _warm_up() -> None:
    _kernels()


def _screen(spec_json: str, configurations: Sequence[Configuration]) -> list[Measurement]:
    evaluator = _evaluator(spec_json)
    return [evaluator.screen(configuration) for configuration in configurations]


def _screen_range(spec_json: str, start: int, stop: int) -> list[Measurement]:
    return _screen(spec_json, _space(spec_json)[start:stop])


def _simulate(spec_json: str, configurations: Sequence[Configuration]) -> list[Measurement]:
    evaluator = _evaluator(spec_json)
    return [evaluator.simulate(configuration) for configuration in configurations]


# What follows lives in the children alone, once a process: the simulator is imported there and nowhere else.


@cache
def _kernels() -> "KernelData":
    from tuner.simulator.kernel_data import KernelData

    return KernelData()


@lru_cache(maxsize=_SPECS_KEPT)
def _evaluator(spec_json: str) -> "SimulateEvaluator":
    from tuner.evaluators.simulate import SimulateEvaluator

    return SimulateEvaluator(meaning_of(JobSpec.model_validate_json(spec_json)), _kernels())


@lru_cache(maxsize=_SPECS_KEPT)
def _space(spec_json: str) -> Space:
    return build_space(JobSpec.model_validate_json(spec_json))
