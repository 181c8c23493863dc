"""Jobs that measure with trtllm-bench in place of a server: its report's figures, and every way to get none."""

from typing import Any

import pytest

from tests.tuner.engines.tensorrt_llm.conftest import Order
from tests.tuner.engines.tensorrt_llm.staged_jobs import WORKLOAD, StagedJobs, told
from tuner.evaluators.measure import opened
from tuner.evaluators.offline import requests_of
from tuner.metrics import Provenance
from tuner.space.choice import choices_of
from tuner.spec import JobSpec, MeasuringTool
from tuner.trial import Measurement, TrialState

MEASURING: dict[str, Any] = {"tool": "trtllm-bench", "seconds": 6, "repeats": 1, "start_timeout_seconds": 60}
SPACE: dict[str, Any] = {"tensor_parallel": [1, 2], "weights": ["fp8"], "concurrency": [4, 16]}


def measured(jobs: StagedJobs, spec: JobSpec) -> Measurement:
    """The first configuration of a job, measured."""
    with opened(spec, jobs.workshop) as (_, source):
        return source.measure(choices_of(spec)[0], 0, lambda: False)


def test_a_job_ends_with_the_frontier_of_the_reports(staged_jobs: StagedJobs, order: Order) -> None:
    slow = {"tensor_parallel_size": 2, "max_batch_size": 16}
    order({"kind": "no_report", "when": slow}, speed=1)
    spec = staged_jobs.spec(SPACE, measuring=MEASURING)

    result, trials = staged_jobs.run(spec)

    assert spec.measuring.tool is MeasuringTool.TRTLLM_BENCH
    assert (result.evaluated, result.failed) == (4, 1)
    assert result.frontier
    for trial in trials:
        fails = slow.items() <= told(spec, trial.configuration).items()
        assert (trial.state is TrialState.FAILED) == fails
        if trial.failure is not None:
            assert (str(trial.failure.kind), "wrote no report" in trial.failure.detail) == ("crashed", True)
    best = next(trial for trial in trials if trial.number in result.frontier)
    assert {"tpot_mean_ms", "ttft_p99_ms", "cost_usd_per_million_output_tokens"} <= set(best.metrics)
    assert set(best.provenance.values()) == {Provenance.MEASURED}
    assert not {key for key in best.metrics if key.startswith(("energy", "itl", "power"))}
    assert staged_jobs.still_on_record() == []


def test_figures_say_what_they_rest_on(staged_jobs: StagedJobs, order: Order) -> None:
    order(speed=1)
    found = measured(staged_jobs, staged_jobs.spec(SPACE, measuring=MEASURING))
    assert found.failure is None
    assert found.details is not None
    assert (found.details["measured_by"], found.details["requests"]) == ("trtllm-bench", 40)
    assert found.details["engine"] == {"engine": "tensorrt-llm", "engine_version": "1.2.1"}
    assert isinstance(found.details["start_seconds"], float)
    assert found.details["window_seconds"] == pytest.approx(40 / found.metrics["requests_per_second"])
    assert not found.intervals
    assert not list(staged_jobs.workshop.folder.glob("*/*.jsonl"))


def test_requests_are_counted_over_all_replicas(staged_jobs: StagedJobs, order: Order) -> None:
    order(speed=1)
    space = {**SPACE, "tensor_parallel": [1], "concurrency": [4]}
    one = measured(staged_jobs, staged_jobs.spec(space, measuring=MEASURING))
    two = measured(staged_jobs, staged_jobs.spec({**space, "replicas": [2]}, measuring=MEASURING))
    assert two.metrics["requests_per_second"] == pytest.approx(2 * one.metrics["requests_per_second"])
    rate = "output_tokens_per_second_per_gpu"
    assert two.metrics[rate] == pytest.approx(one.metrics[rate])


@pytest.mark.parametrize(
    ("orders", "kind", "said"),
    [
        (({"kind": "out_of_memory", "component": "KV cache"},), "out_of_memory", "could not be created: KV cache"),
        (("unsupported_argument",), "unsupported", "validation error for TorchLlmArgs"),
        (("hang",), "start_timeout", "had not loaded the model after 9 s"),
        (({"kind": "rank_death_at_start", "stays": True},), "crashed", "rank 1"),
        (("slow_bench",), "too_slow", "was not done after 9 s"),
    ],
)
def test_a_run_that_fails_or_never_ends_says_why(
    staged_jobs: StagedJobs, order: Order, orders: tuple[Any, ...], kind: str, said: str
) -> None:
    order(*orders)
    spec = staged_jobs.spec(SPACE, measuring={**MEASURING, "seconds": 1, "start_timeout_seconds": 8})
    failure = measured(staged_jobs, spec).failure
    assert failure is not None
    assert (str(failure.kind), said in failure.detail) == (kind, True), failure
    assert staged_jobs.still_on_record() == []


def test_what_the_installation_lacks_is_said(staged_jobs: StagedJobs, order: Order) -> None:
    from tuner.engines.errors import ProgramMissingError
    from tuner.engines.tensorrt_llm.engine import TensorrtLlmEngine
    from tuner.engines.tensorrt_llm.installation import Installation
    from tuner.evaluators.offline import measured_offline

    spec = staged_jobs.spec({**SPACE, "weights": ["bfloat16"]}, measuring=MEASURING)
    folder = staged_jobs.workshop.data_dir
    engine = TensorrtLlmEngine(spec.model, folder, Installation.of("/nowhere/trtllm-serve"))
    with pytest.raises(ProgramMissingError, match="PARETUNE_TRTLLM_COMMAND"):
        measured_offline(spec, engine, choices_of(spec)[0], folder, {}, lambda: False, ())


def test_prompts_share_what_the_workload_says_and_no_more(staged_jobs: StagedJobs, order: Order) -> None:
    order()
    spec = staged_jobs.spec(SPACE, measuring=MEASURING, workload={**WORKLOAD, "shared_prefix": 0.5})
    prompts = [prompt for prompt, _ in requests_of(spec, choices_of(spec)[0])]
    half = WORKLOAD["input_tokens"] // 2
    assert {len(prompt) for prompt in prompts} == {2 * half}
    assert len({tuple(prompt[:half]) for prompt in prompts}) == 1
    assert len({tuple(prompt[half:]) for prompt in prompts}) == len(prompts)
