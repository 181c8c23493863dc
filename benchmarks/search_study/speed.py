"""Seconds that one proposal takes over a large space, late in a job."""

import time

import numpy as np

from tuner.configuration import Configuration
from tuner.search.staged.history import Goal, Observation
from tuner.search.staged.policy import Policy
from tuner.search.staged.survey import Opinion, survey

_MEASURED = 48
_OBJECTIVES = ("cost_usd_per_million_output_tokens", "energy_joules_per_output_token", "tpot_mean_ms")


def seconds_per_proposal(count: int) -> float:
    """Seconds for a proposal over `count` configurations with 48 measurements, 3 pending, two opinions each."""
    random = np.random.default_rng(0)

    def pick(*values: int) -> int:
        return int(random.choice(values))

    configurations = [
        Configuration(
            engine="tensorrt-llm",
            gpu="h200_sxm",
            tensor_parallel=pick(1, 2, 4, 8),
            pipeline_parallel=pick(1, 2, 4),
            expert_parallel=pick(1, 2, 4, 8),
            attention_dp=bool(pick(0, 1)),
            weights=("bfloat16", "fp8", "fp8_block")[pick(0, 1, 2)],
            kv_cache=("bfloat16", "fp8")[pick(0, 1)],
            concurrency=int(random.integers(1, 1025)),
            max_num_tokens=2 ** pick(11, 12, 13, 14, 15),
            chunked_prefill=bool(pick(0, 1)),
        )
        for _ in range(count)
    ]
    rows = [_figures(configuration, random) for configuration in configurations]
    shares = [float(share) for share in random.uniform(0.3, 1.1, count)]
    goal = Goal(_OBJECTIVES, {"ttft_mean_ms": 2000.0})
    landscape = survey(configurations, goal.metrics, [Opinion(rows), Opinion(rows)], shares, [s < 1 for s in shares])
    observations = [Observation(number, number * 7, rows[number * 7]) for number in range(_MEASURED)]
    started = time.perf_counter()
    Policy(landscape, goal).propose(observations, [1, 2, 3])
    return time.perf_counter() - started


def _figures(configuration: Configuration, random: np.random.Generator) -> dict[str, float]:
    tpot = 5 * configuration.concurrency**0.5 / configuration.tensor_parallel**0.7 * float(random.lognormal(0, 0.1))
    rate = configuration.concurrency / tpot / configuration.gpus_per_replica
    return {
        "tpot_mean_ms": tpot,
        "cost_usd_per_million_output_tokens": 0.5 / rate,
        "energy_joules_per_output_token": 0.4 / rate * float(random.lognormal(0, 0.1)),
        "ttft_mean_ms": 100 * tpot,
    }
