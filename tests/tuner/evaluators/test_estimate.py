"""One configuration, simulated at once: what a request means, and what is wrong with it."""

import pytest
from pydantic import ValidationError

from tuner.errors import SpecError
from tuner.evaluators.estimate import EstimateRequest, simulate_one
from tuner.metrics import METRICS, Provenance
from tuner.simulator.kernel_data import KernelData
from tuner.trial import FailureKind


def ask(**changes: object) -> EstimateRequest:
    plain: dict[str, object] = {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "gpu": "h100_sxm",
        "input_tokens": 1024,
        "output_tokens": 128,
        "concurrency": 16,
    }
    return EstimateRequest.model_validate(plain | changes)


def test_a_plain_request_is_the_checkpoint_on_one_gpu(kernels: KernelData) -> None:
    configuration, found = simulate_one(ask(), kernels)

    assert (configuration.engine, configuration.gpu, configuration.gpus) == ("tensorrt-llm", "h100_sxm", 1)
    assert (configuration.weights, configuration.concurrency) == ("bfloat16", 16)
    assert found.failure is None
    assert {"ttft_mean_ms", "tpot_mean_ms", "request_latency_mean_ms", "cost_usd_per_million_output_tokens"} <= set(
        found.metrics
    )
    assert all(value > 0 for value in found.metrics.values())


def test_every_figure_is_a_metric_with_its_provenance(kernels: KernelData) -> None:
    _, found = simulate_one(ask(), kernels)

    assert set(found.metrics) == set(found.provenance)
    assert set(found.metrics) <= set(METRICS)
    assert Provenance.MEASURED not in found.provenance.values()


def test_knobs_are_those_asked_for(kernels: KernelData) -> None:
    knobs = {"tensor_parallel": 2, "weights": "fp8", "kv_cache": "fp8", "max_num_tokens": 4096, "max_batch_size": 32}

    configuration, _ = simulate_one(ask(gpu="h200", configuration=knobs), kernels)

    assert configuration.gpu == "h200_sxm"
    assert {knob: getattr(configuration, knob) for knob in knobs} == knobs


def test_more_gpus_answer_sooner_and_more_load_makes_more(kernels: KernelData) -> None:
    one = simulate_one(ask(), kernels)[1].metrics
    two = simulate_one(ask(configuration={"tensor_parallel": 2}), kernels)[1].metrics
    busy = simulate_one(ask(concurrency=64), kernels)[1].metrics

    assert two["tpot_mean_ms"] < one["tpot_mean_ms"]
    assert busy["output_tokens_per_second_per_gpu"] > one["output_tokens_per_second_per_gpu"]
    assert busy["cost_usd_per_million_output_tokens"] < one["cost_usd_per_million_output_tokens"]


def test_out_of_memory_is_an_answer(kernels: KernelData) -> None:
    _, found = simulate_one(ask(model="meta-llama/Llama-3.1-70B-Instruct"), kernels)

    assert found.failure is not None
    assert found.failure.kind is FailureKind.OUT_OF_MEMORY
    assert not found.metrics


def test_a_prompt_beyond_the_default_step_raises_the_step(kernels: KernelData) -> None:
    configuration, found = simulate_one(ask(input_tokens=20_000, concurrency=2), kernels)

    assert configuration.max_num_tokens == 20_000
    assert found.failure is None


@pytest.mark.parametrize("output", [1, 2])
def test_the_shortest_answers_have_figures_too(kernels: KernelData, output: int) -> None:
    _, found = simulate_one(ask(output_tokens=output), kernels)

    assert found.failure is None
    assert found.metrics["cost_usd_per_million_output_tokens"] > 0
    assert ("tpot_mean_ms" in found.metrics) == (output > 1)  # one token has no time between tokens


@pytest.mark.parametrize("width", [2, 4])
def test_stages_hold_no_more_requests_than_are_in_flight(kernels: KernelData, width: int) -> None:
    knobs = {"pipeline_parallel": width}
    part = simulate_one(ask(concurrency=width + 1, configuration=knobs), kernels)[1].metrics

    held = part["requests_per_second"] * part["request_latency_mean_ms"] / 1000

    assert held <= (width + 1) * 1.1


@pytest.mark.parametrize(
    ("changes", "field", "mend"),
    [
        ({"model": "nobody/x"}, "model", "not known here"),
        ({"gpu": "h101"}, "gpu|hardware.gpu", "did you mean h100_sxm"),
        ({"configuration": {"tensor_parallel": 3}}, "configuration.tensor_parallel", "use 1, 2, 4 or 8"),
        ({"configuration": {"tensor_paralel": 2}}, "configuration.tensor_paralel", "did you mean tensor_parallel"),
        ({"configuration": {"gpu": "h100"}}, "configuration.gpu", "beside the configuration"),
        ({"configuration": {"weights": "nvfp4"}}, "configuration.weights", "use one of bfloat16, fp8"),
        ({"configuration": {"expert_parallel": 2}}, "configuration.expert_parallel", "is dense; use 1"),
        ({"configuration": {"max_num_tokens": 100}}, "configuration.max_num_tokens", "use at least 1024"),
        ({"configuration": {"pipeline_parallel": 32}}, "configuration.concurrency", "use at least 32"),
        ({"input_tokens": 200_000}, "input_tokens|workload", "shorten it to 131072"),
        ({"engine": "llama.cpp"}, "engine", "use tensorrt-llm, vllm, sglang"),
    ],
    ids=str,
)
def test_a_bad_request_names_the_field_and_the_mend(
    kernels: KernelData, changes: dict[str, object], field: str, mend: str
) -> None:
    with pytest.raises(SpecError) as caught:
        simulate_one(ask(**changes), kernels)

    problem = caught.value.problems[0]
    assert problem.field in field.split("|")
    assert mend in problem.message


@pytest.mark.parametrize(
    "changes",
    [{"input_tokens": 0}, {"output_tokens": -1}, {"concurrency": 0}, {"engine": "vlm"}, {"modle": "x"}, {"model": ""}],
    ids=str,
)
def test_a_malformed_request_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ask(**changes)
