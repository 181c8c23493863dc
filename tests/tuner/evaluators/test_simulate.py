"""The simulate evaluator: two depths that agree, figures that hang together, failures with a reason."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tuner.configuration import Configuration
from tuner.evaluators.simulate import SimulateEvaluator
from tuner.metrics import METRICS, Provenance
from tuner.simulator.kernel_data import KernelData
from tuner.space.meaning import meaning_of
from tuner.spec import JobSpec
from tuner.trial import FailureKind, Measurement

Job = Callable[..., JobSpec]
PLAIN = Configuration("tensorrt-llm", "h100_sxm", weights="fp8", max_batch_size=32, concurrency=32)
RATE = {"input_tokens": 1024, "output_tokens": 128, "request_rate": 2}


def evaluator(kernels: KernelData, spec: JobSpec) -> SimulateEvaluator:
    return SimulateEvaluator(meaning_of(spec), kernels)


def both(kernels: KernelData, spec: JobSpec, configuration: Configuration) -> list[Measurement]:
    found = evaluator(kernels, spec)
    return [found.screen(configuration), found.simulate(configuration)]


def test_both_depths_know_the_objectives_and_name_known_metrics(kernels: KernelData, job: Job) -> None:
    spec = job(objectives=["cost", "energy", "tpot", "ttft", "request_latency"])

    for found in both(kernels, spec, PLAIN):
        assert found.failure is None
        assert {objective.metric for objective in spec.objectives} <= set(found.metrics) <= set(METRICS)
        assert set(found.provenance) == set(found.metrics)
        assert all(value > 0 for value in found.metrics.values())


def test_power_is_modelled_and_so_is_what_follows_from_it(kernels: KernelData, job: Job) -> None:
    for found in both(kernels, job(), PLAIN):
        assert found.provenance["power_watts_per_gpu"] is Provenance.MODELLED
        assert found.provenance["energy_joules_per_output_token"] is Provenance.MODELLED
        assert 60 < found.metrics["power_watts_per_gpu"] < 700  # between idle and board power


def test_figures_hang_together(kernels: KernelData, job: Job) -> None:
    wide = replace(PLAIN, tensor_parallel=2, replicas=2)

    for found in both(kernels, job(pricing={"gpu_hour_usd": 3.6}), wide):
        m = found.metrics
        rate = m["output_tokens_per_second_per_gpu"]
        assert m["requests_per_second"] == pytest.approx(rate * 4 / 128)
        assert m["output_tokens_per_second_per_user"] == pytest.approx(1000 / m["tpot_mean_ms"])
        assert m["cost_usd_per_million_output_tokens"] == pytest.approx(3.6 / 3600 / rate * 1e6)
        assert m["energy_joules_per_output_token"] == pytest.approx(m["power_watts_per_gpu"] / rate)
        assert m["request_latency_mean_ms"] == pytest.approx(m["ttft_mean_ms"] + 127 * m["tpot_mean_ms"], rel=0.05)


def test_the_formula_is_near_the_simulation(kernels: KernelData, job: Job) -> None:
    screened, simulated = both(kernels, job(), PLAIN)

    assert screened.metrics["tpot_mean_ms"] == pytest.approx(simulated.metrics["tpot_mean_ms"], rel=0.3)
    assert screened.metrics["gpu_memory_gib"] == simulated.metrics["gpu_memory_gib"]


def test_the_simulation_knows_distributions_in_their_order(kernels: KernelData, job: Job) -> None:
    metrics = evaluator(kernels, job()).simulate(PLAIN).metrics

    for latency in ("ttft", "tpot", "itl", "request_latency"):
        percentiles = [metrics[f"{latency}_{statistic}_ms"] for statistic in ("p50", "p90", "p95", "p99")]
        assert percentiles == sorted(percentiles), latency


def test_the_same_configuration_gives_the_same_figures(kernels: KernelData, job: Job) -> None:
    assert both(kernels, job(), PLAIN) == both(kernels, job(), PLAIN)


def test_spread_lengths_spread_the_latencies(kernels: KernelData, job: Job) -> None:
    spread = job(workload={"input_tokens": {"mean": 1024, "stdev": 300}, "output_tokens": {"mean": 128, "stdev": 40}})

    def reach(spec: JobSpec) -> float:
        metrics = evaluator(kernels, spec).simulate(PLAIN).metrics
        return metrics["request_latency_p99_ms"] / metrics["request_latency_p50_ms"]

    assert reach(spread) > reach(job())


def test_a_scheduler_below_the_load_makes_requests_wait(kernels: KernelData, job: Job) -> None:
    found = evaluator(kernels, job())

    few = found.simulate(replace(PLAIN, max_batch_size=4)).metrics

    assert few["ttft_mean_ms"] > 3 * found.simulate(PLAIN).metrics["ttft_mean_ms"]


def test_a_rate_that_is_served_is_the_rate_of_requests(kernels: KernelData, job: Job) -> None:
    for found in both(kernels, job(workload=RATE), PLAIN):
        assert found.failure is None
        assert found.metrics["requests_per_second"] == pytest.approx(2, rel=0.1)


def test_requests_that_come_in_bursts_wait_longer_than_evenly_spaced_ones(kernels: KernelData, job: Job) -> None:
    waits = []
    for burstiness in ("constant", 1.0, 0.2):
        spec = job(workload={**RATE, "request_rate": 8, "burstiness": burstiness})
        found = evaluator(kernels, spec).simulate(PLAIN)
        assert found.metrics["requests_per_second"] == pytest.approx(8, rel=0.15)
        waits.append(found.metrics["ttft_p95_ms"])

    assert waits == sorted(waits)
    assert waits[-1] > 1.2 * waits[0]


def test_a_rate_beyond_reach_is_too_slow_and_says_what_is_served(kernels: KernelData, job: Job) -> None:
    for found in both(kernels, job(workload={**RATE, "request_rate": 1000}), PLAIN):
        assert found.failure is not None
        assert found.failure.kind is FailureKind.TOO_SLOW
        assert "add replicas or raise max_batch_size" in found.failure.detail


def test_a_ceiling_of_the_scheduler_is_no_load(kernels: KernelData, job: Job) -> None:
    spec = job(workload={"input_tokens": 4000, "output_tokens": 1000, "request_rate": 0.5})
    default = replace(PLAIN, max_batch_size=2048, concurrency=2048)

    for found in both(kernels, spec, default):
        assert found.failure is None  # half a request per second never fills 2048 places


def test_what_does_not_fit_is_out_of_memory_at_both_depths(kernels: KernelData, job: Job) -> None:
    for found in both(kernels, job(model="meta-llama/Llama-3.1-70B-Instruct"), replace(PLAIN, weights="bfloat16")):
        assert found.failure is not None
        assert found.failure.kind is FailureKind.OUT_OF_MEMORY
        assert found.metrics == {}


def test_what_has_no_data_is_unsupported_at_both_depths(kernels: KernelData, job: Job) -> None:
    for found in both(kernels, job(), replace(PLAIN, weights="int4_awq")):
        assert found.failure is not None
        assert found.failure.kind is FailureKind.UNSUPPORTED
