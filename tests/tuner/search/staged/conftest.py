"""A small made-up machine: figures by formula, a simulator that is off by a smooth factor, and a memory limit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from tuner.configuration import Configuration
from tuner.search.staged.history import Goal, Observation
from tuner.search.staged.landscape import Landscape
from tuner.search.staged.survey import Opinion, survey
from tuner.trial import FailureKind

OBJECTIVES = ("cost_usd_per_million_output_tokens", "energy_joules_per_output_token", "tpot_mean_ms")


@dataclass(frozen=True)
class Machine:
    configurations: tuple[Configuration, ...]
    truth: tuple[dict[str, float], ...]
    fits: tuple[bool, ...]
    simulated: tuple[dict[str, float], ...]
    memory: tuple[float, ...]
    goal: Goal

    def landscape(self, *, prior: bool = True) -> Landscape:
        if not prior:
            return survey(self.configurations, self.goal.metrics)
        runs = [share < 1 for share in self.memory]
        return survey(self.configurations, self.goal.metrics, [Opinion(self.simulated)], self.memory, runs)

    def measure(self, number: int, row: int) -> Observation:
        if not self.fits[row]:
            return Observation(number, row, {}, FailureKind.OUT_OF_MEMORY)
        return Observation(number, row, self.truth[row])

    def measured(self, rows: Sequence[int]) -> list[Observation]:
        return [self.measure(number, row) for number, row in enumerate(rows)]


@pytest.fixture(scope="session")
def machine() -> Machine:
    configurations = tuple(
        Configuration("tensorrt-llm", "h200_sxm", tensor_parallel=tp, weights=weights, concurrency=load)
        for tp in (1, 2, 4, 8)
        for weights in ("bfloat16", "fp8")
        for load in (1, 2, 4, 8, 16, 32, 64, 128, 256)
    )
    simulated, truth, memory = [], [], []
    for c in configurations:
        half = 0.6 if c.weights == "fp8" else 1.0
        tpot = half * (20 / c.tensor_parallel**0.8 + 0.15 * c.concurrency**0.9)
        rate = 1000 * c.concurrency / tpot / c.tensor_parallel
        wrong = float(np.exp(0.2 * np.sin(np.log2(c.concurrency) / 3 + np.log2(c.tensor_parallel) / 2) + 0.1))
        simulated.append(_figures(tpot, rate, 50 * c.concurrency**0.5 / c.tensor_parallel))
        truth.append(_figures(tpot * wrong, rate / wrong, 60 * c.concurrency**0.5 / c.tensor_parallel))
        memory.append(half / c.tensor_parallel + 0.004 * c.concurrency / c.tensor_parallel)
    fits = tuple(share < 0.95 for share in memory)
    goal = Goal(OBJECTIVES, {"ttft_mean_ms": 250.0})
    return Machine(configurations, tuple(truth), fits, tuple(simulated), tuple(memory), goal)


def _figures(tpot: float, rate: float, ttft: float) -> dict[str, float]:
    return {
        "tpot_mean_ms": tpot,
        "ttft_mean_ms": ttft,
        "output_tokens_per_second_per_gpu": rate,
        "cost_usd_per_million_output_tokens": 500 / rate,
        "energy_joules_per_output_token": (300 + rate / 50) / rate,
    }
