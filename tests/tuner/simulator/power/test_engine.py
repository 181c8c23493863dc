"""Power of a simulated engine, and power as a knob."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tuner.configuration import Configuration
from tuner.evaluators.simulate import SimulateEvaluator
from tuner.metrics import Provenance
from tuner.simulator.kernel_data import KernelData
from tuner.simulator.power.engine import EnginePower, Running
from tuner.space.hardware import find_gpu
from tuner.space.meaning import meaning_of
from tuner.space.models import known_models, model_shape
from tuner.spec import JobSpec

PLAIN = Configuration("tensorrt-llm", "h100_sxm", weights="fp8", max_batch_size=64, concurrency=64)
RUNNING = Running(output_tokens_per_second=4000, tpot_ms=14, input_tokens=1024, output_tokens=256)


@pytest.mark.parametrize("load", [1, 16, 256])
def test_power_lies_between_idle_and_the_boards_limit(load: int) -> None:
    power, gpu = EnginePower(model_shape("meta-llama/Llama-3.1-8B-Instruct")), find_gpu("h100_sxm")
    running = replace(RUNNING, output_tokens_per_second=load * 1000 / 14)

    watts = power.watts(replace(PLAIN, concurrency=load), running)

    assert watts is not None
    assert gpu.idle_watts < watts <= gpu.power_limit_watts[1]


def test_an_engine_that_waits_for_requests_draws_less() -> None:
    power = EnginePower(model_shape("meta-llama/Llama-3.1-8B-Instruct"))

    rarely, often = (power.watts(PLAIN, replace(RUNNING, output_tokens_per_second=rate)) for rate in (5, 4000))

    assert rarely is not None
    assert often is not None
    assert rarely < 0.6 * often


def test_every_known_model_has_a_power_or_none() -> None:
    for name in known_models():
        watts = EnginePower(model_shape(name)).watts(replace(PLAIN, gpu="b200_sxm", tensor_parallel=8), RUNNING)
        assert watts is None or 100 < watts <= 1000


def test_a_lower_limit_buys_greener_points_for_slower_ones(kernels: KernelData, job: Callable[..., JobSpec]) -> None:
    meaning = meaning_of(job(space={}, workload={"input_tokens": 1024, "output_tokens": 256}))
    evaluator = SimulateEvaluator(meaning, kernels)

    free = evaluator.simulate(PLAIN).metrics
    capped = evaluator.simulate(replace(PLAIN, power_limit_watts=350))

    assert capped.metrics["power_watts_per_gpu"] <= 350.5 < free["power_watts_per_gpu"]
    assert capped.metrics["energy_joules_per_output_token"] < free["energy_joules_per_output_token"]
    assert capped.metrics["tpot_mean_ms"] > free["tpot_mean_ms"]
    assert capped.metrics["ttft_mean_ms"] > free["ttft_mean_ms"]
    assert set(capped.provenance.values()) <= {Provenance.MODELLED, Provenance.SIMULATED}


def test_a_limit_that_does_not_bite_changes_nothing(kernels: KernelData, job: Callable[..., JobSpec]) -> None:
    meaning = meaning_of(job(space={}, workload={"input_tokens": 1024, "output_tokens": 256}))
    evaluator = SimulateEvaluator(meaning, kernels)
    alone = replace(PLAIN, concurrency=1, max_batch_size=1)

    assert evaluator.simulate(replace(alone, power_limit_watts=700)).metrics == pytest.approx(
        evaluator.simulate(alone).metrics, rel=1e-3
    )
