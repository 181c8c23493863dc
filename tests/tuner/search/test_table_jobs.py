"""Jobs on measured tables: replayed whole, or standing for the measurements that the policy chooses."""

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tuner.errors import SpecError
from tuner.evaluators.pool import EvaluationPool
from tuner.frontier import Frontier
from tuner.metrics import Provenance
from tuner.search.run import run_job
from tuner.search.study import Baseline, Progress, StudyResult
from tuner.space.build import build_space
from tuner.space.choice import choices_of
from tuner.spec import JobSpec
from tuner.trial import FailureKind, Trial, TrialState

Job = Callable[..., JobSpec]
SPACE = {
    "tensor_parallel": [1, 2, 4],
    "weights": ["bfloat16", "fp8"],
    "kv_cache": ["fp8"],
    "pipeline_parallel": [1],
    "concurrency": [1, 8, 32, 128],
    "max_num_tokens": [8192],
    "chunked_prefill": [False],
}
COLUMNS = ["tensor_parallel", "weights", "kv_cache", "concurrency", "max_batch_size", "replicas"]
METRICS = ["ttft_mean_ms", "tpot_mean_ms", "output_tokens_per_second_per_gpu", "power_watts_per_gpu"]


class Recorder:
    """Keeps the trials and the progress that it hears of."""

    def __init__(self) -> None:
        self.trials_heard: list[Trial] = []
        self.volumes: list[float | None] = []

    def started(self, space_size: int, sampler: str, baseline: Baseline | None) -> None:
        self.space_size, self.sampler, self.baseline = space_size, sampler, baseline

    def trials(self, batch: Sequence[Trial], progress: Progress, frontier: Sequence[int]) -> None:
        self.trials_heard += [trial for trial in batch if trial.state is not TrialState.RUNNING]
        self.volumes.append(progress.hypervolume)

    def doing(self, words: str | None) -> None:
        pass

    def cancelled(self) -> bool:
        return False


@pytest.fixture(scope="module")
def table(job: Job, pool: EvaluationPool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landscape as a user might have measured it: simulated figures off by a smooth error, one row out of memory."""
    spec = job(space=SPACE, constraints={})
    space = list(build_space(spec))
    path = tmp_path_factory.mktemp("table") / "measured.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "failure", *METRICS])
        for number, (configuration, found) in enumerate(zip(space, pool.simulate(spec, space).result(), strict=True)):
            knobs = [getattr(configuration, column) for column in COLUMNS]
            off = math.exp(0.2 * math.sin(configuration.tensor_parallel + math.log2(configuration.concurrency)))
            failed = number == len(space) - 1
            figures = ["" if failed else f"{found.metrics[metric] * off:.4f}" for metric in METRICS]
            writer.writerow([*knobs, "out_of_memory" if failed else "", *figures])
    return path


def heard(spec: JobSpec, pool: EvaluationPool) -> tuple[StudyResult, Recorder]:
    recorder = Recorder()
    return run_job(spec, recorder, pool), recorder


def test_a_replayed_table_is_its_own_space_and_frontier(job: Job, pool: EvaluationPool, table: Path) -> None:
    spec = job(evaluator="replay", replay={"table": str(table)}, objectives=["cost", "energy", "tpot"], constraints={})

    result, recorder = heard(spec, pool)

    front = Frontier(spec.objectives)
    front.add(recorder.trials_heard)
    assert result.evaluated == result.space_size == len(choices_of(spec))
    assert set(result.frontier) == {trial.number for trial in front.trials}
    assert recorder.trials_heard[0].provenance["tpot_mean_ms"] is Provenance.MEASURED
    failed = [trial for trial in recorder.trials_heard if trial.state is TrialState.FAILED]
    assert [trial.failure.kind for trial in failed if trial.failure] == [FailureKind.OUT_OF_MEMORY]


def test_a_staged_job_finds_the_frontier_in_few_measurements_and_says_why(
    job: Job, pool: EvaluationPool, table: Path
) -> None:
    asked = {"replay": {"table": str(table)}, "objectives": ["cost", "tpot"], "constraints": {}}
    whole, _ = heard(job(evaluator="replay", **asked), pool)
    result, recorder = heard(job(evaluator="staged", budget={"trials": 12}, **asked), pool)

    assert result.sampler == "staged"
    assert result.evaluated == 12
    assert result.findings.stopped == "the budget of trials is used up"
    configurations = [trial.configuration for trial in recorder.trials_heard]
    assert len(set(configurations)) == len(configurations)
    for trial in recorder.trials_heard:
        assert trial.reason is not None
        assert {"rule", "predicted", "expected_gain", "chance_feasible"} <= set(trial.reason)
    known = [volume for volume in recorder.volumes if volume is not None]
    assert known == sorted(known)  # the hypervolume never falls
    found = {recorder.trials_heard[number].configuration for number in result.frontier}
    assert len(found) >= 0.5 * len(whole.frontier)


def test_the_same_seed_measures_the_same_configurations(job: Job, pool: EvaluationPool, table: Path) -> None:
    spec = job(evaluator="staged", replay={"table": str(table)}, objectives=["cost", "tpot"], budget={"trials": 6})

    one, two = (heard(spec, pool)[1].trials_heard for _ in range(2))

    assert [trial.configuration for trial in one] == [trial.configuration for trial in two]


@pytest.mark.parametrize(
    ("budget", "stopped"),
    [
        ({"gpu_hours": 1.0}, "the budget of gpu_hours is used up"),
        ({"trials": 24, "patience": 3}, "no growth in 3 measurements"),
        ({"trials": 500}, "nothing left that is worth a measurement"),
    ],
)
def test_a_staged_job_ends_on_its_budget_its_plateau_or_its_space(
    job: Job, pool: EvaluationPool, table: Path, budget: dict[str, float], stopped: str
) -> None:
    spec = job(evaluator="staged", replay={"table": str(table)}, objectives=["cost", "tpot"], budget=budget)

    assert heard(spec, pool)[0].findings.stopped == stopped


@pytest.mark.parametrize(
    ("changes", "field", "mend"),
    [
        ({"evaluator": "replay"}, "", "replay: {table: FILE}"),
        ({"evaluator": "replay", "replay": {"table": "/nowhere.csv"}}, "replay.table", "cannot read /nowhere.csv"),
    ],
)
def test_a_job_without_its_table_is_refused(job: Job, changes: dict[str, object], field: str, mend: str) -> None:
    with pytest.raises(SpecError, match=mend.replace("{", r"\{")) as caught:
        choices_of(job(**changes))

    assert caught.value.problems[0].field == field
