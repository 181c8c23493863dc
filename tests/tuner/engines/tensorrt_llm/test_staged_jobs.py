"""Whole staged jobs through the stand-in: a measured frontier near the known truth, whatever fails on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.tuner.engines.tensorrt_llm.conftest import Order
from tests.tuner.engines.tensorrt_llm.staged_jobs import SPEED, StagedJobs, told
from tuner.configuration import Configuration
from tuner.engines.tensorrt_llm.failure_texts import COMPONENTS
from tuner.metrics import Provenance
from tuner.search.study import StudyResult
from tuner.space.choice import choices_of
from tuner.space.measured import reference_row
from tuner.spec import JobSpec
from tuner.trial import FailureKind, Trial, TrialState

Fault = Mapping[str, Any]
SPREAD = {"input_tokens": {"mean": 128, "stdev": 30}, "output_tokens": {"mean": 16, "stdev": 4}}
"""Requests of one length alone would move in step, in the simulation for ever and on a real clock for a while."""


def test_a_job_ends_with_a_measured_frontier_near_the_truth(staged_jobs: StagedJobs, order: Order) -> None:
    order(speed=SPEED)
    space = {"tensor_parallel": [1, 2], "weights": ["bfloat16", "fp8"], "concurrency": [2, 8]}
    spec = staged_jobs.spec(space, workload=SPREAD, budget={"trials": 6})

    result, trials = staged_jobs.run(spec)

    assert result.space_size == 8
    assert result.evaluated <= 5  # the default twice, to see drift
    assert result.frontier
    kinds = [trial.failure.kind for trial in trials if trial.failure is not None]
    assert set(kinds) <= {FailureKind.LOST}  # a busy machine's client may be too slow to tell
    trials = [trial for trial in trials if trial.failure is None]
    rows = [trial.configuration for trial in trials]
    measured = [trial.metrics["tpot_mean_ms"] for trial in trials]
    assert measured == pytest.approx([staged_jobs.true_tpot_ms(spec, row) for row in rows], rel=0.1)
    assert {trial.provenance["tpot_mean_ms"] for trial in trials} == {Provenance.MEASURED}
    foreseen = staged_jobs.simulated_tpot_ms(spec, rows)
    assert [value * SPEED for value in measured] == pytest.approx(foreseen, rel=0.25)


@dataclass(frozen=True)
class Met:
    """A job in which every configuration but the default has a fault of its own, and what became of it."""

    jobs: StagedJobs
    spec: JobSpec
    result: StudyResult
    trials: Sequence[Trial]
    faulty: Sequence[Configuration]

    def failures(self) -> list[tuple[str, str]]:
        """Kind and detail of each faulty configuration's failure, in the order of the faults."""
        of = {trial.configuration: trial.failure for trial in self.trials}
        found = [of[row] for row in self.faulty]
        return [("", "it ran") if one is None else (str(one.kind), one.detail) for one in found]

    def check_the_rest(self) -> None:
        """The job went on to a measured frontier, tried nothing twice that failed, and left nothing."""
        works = [trial for trial in self.trials if trial.failure is None]
        assert [trial.state for trial in works] == [TrialState.COMPLETE]
        assert self.result.frontier == (works[0].number,)
        assert self.result.evaluated == len(self.faulty) + 1
        begun = [_marks(data) for data in self.jobs.begun()]
        assert [begun.count(_marks(told(self.spec, row))) for row in self.faulty] == [1] * len(self.faulty)
        assert self.jobs.still_on_record() == []


def met(jobs: StagedJobs, order: Order, faults: Sequence[Fault], space: dict[str, Any], **changes: Any) -> Met:
    """Runs a job on as many configurations as there are faults, and the default."""
    orders = changes.pop("orders", {})
    spec = jobs.spec({"weights": ["bfloat16"], "concurrency": [4], **space}, **changes)
    rows = choices_of(spec)
    works = reference_row(spec, rows)
    faulty = [row for number, row in enumerate(rows) if number != works]
    assert len(faulty) == len(faults)
    order(
        *({**fault, "when": _marks(told(spec, row))} for fault, row in zip(faults, faulty, strict=True)),
        speed=SPEED,
        **orders,
    )
    result, trials = jobs.run(spec)
    return Met(jobs, spec, result, trials, faulty)


def _marks(data: Mapping[str, Any]) -> dict[str, Any]:
    """What tells the configurations of these jobs from one another, by field."""
    fields = ("tensor_parallel_size", "pipeline_parallel_size", "cuda_graph_config")
    return {**{name: data[name] for name in fields}, "kv_cache_config.dtype": data["kv_cache_config"]["dtype"]}


FOUR: dict[str, Any] = {"kv_cache": ["bfloat16", "fp8"], "cuda_graphs": [True, False], "tensor_parallel": [1]}
TWELVE: dict[str, Any] = {**FOUR, "tensor_parallel": [1, 2], "pipeline_parallel": [1, 2]}


def test_out_of_memory_at_each_component_is_named_and_the_job_goes_on(staged_jobs: StagedJobs, order: Order) -> None:
    faults = [{"kind": "out_of_memory", "component": name} for name in COMPONENTS]

    found = met(staged_jobs, order, faults, TWELVE)

    for (kind, detail), name in zip(found.failures(), COMPONENTS, strict=True):
        assert (kind, f"could not be created: {name}" in detail) == ("out_of_memory", True), (name, detail)
    tails = [trial.log_tail or "" for trial in found.trials if trial.failure is not None]
    assert all("insufficient GPU memory" in tail for tail in tails)
    found.check_the_rest()


STARTS: list[tuple[Fault, str, str]] = [
    ({"kind": "torch_out_of_memory"}, "out_of_memory", "Tried to allocate 48.00 MiB"),
    ({"kind": "out_of_memory", "component": "Model", "stays": True}, "out_of_memory", "tensor_parallel"),
    ({"kind": "unknown_architecture"}, "unsupported", "ExoticForCausalLM"),
    ({"kind": "unsupported_argument"}, "unsupported", "validation error for TorchLlmArgs"),
    ({"kind": "nccl"}, "crashed", "NCCL"),
    ({"kind": "rank_death_at_start"}, "crashed", "rank 1"),
    ({"kind": "rank_death_at_start", "stays": True}, "crashed", "rank 1"),
    ({"kind": "kv_cache_too_small", "tokens": 96}, "out_of_memory", "holds 96 tokens, and a request needs 144"),
    ({"kind": "hang"}, "start_timeout", "not ready after 15 s"),
    ({"kind": "endless_503"}, "start_timeout", "not ready after 15 s"),
    ({"kind": "mid_stream_error"}, "load_failed", "Can't allocate new blocks"),
]


def test_a_start_that_fails_or_never_ends_has_its_reason_and_the_job_goes_on(
    staged_jobs: StagedJobs, order: Order
) -> None:
    measuring = {"seconds": 6, "precision": 0.1, "repeats": 1, "start_timeout_seconds": 15}

    found = met(staged_jobs, order, [fault for fault, _, _ in STARTS], TWELVE, measuring=measuring)

    for (kind, detail), (fault, wanted, said) in zip(found.failures(), STARTS, strict=True):
        assert (kind, said in detail) == (wanted, True), (fault, kind, detail)
    found.check_the_rest()


@pytest.mark.usefixtures("impatient")
def test_an_engine_that_falls_ill_under_load_has_its_reason_and_the_job_goes_on(
    staged_jobs: StagedJobs, order: Order
) -> None:
    faults: list[Fault] = [{"kind": "rank_death"}, {"kind": "sick_later"}, {"kind": "hang_detected"}]

    found = met(staged_jobs, order, faults, FOUR, orders={"sick_after_seconds": 3.0})

    for (kind, detail), said in zip(
        found.failures(), ("a rank died", "has answered 503", "Hang detected on rank 0"), strict=True
    ):
        assert (kind, said in detail) == ("crashed", True), (said, detail)
    found.check_the_rest()
