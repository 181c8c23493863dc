"""Whole jobs: the frontier against a brute-force enumeration, streaming, cancellation, constraints, the default."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import pytest

from tuner.configuration import Configuration
from tuner.errors import SpecError
from tuner.evaluators.pool import EvaluationPool
from tuner.evaluators.simulate import SimulateEvaluator
from tuner.search.run import run_job
from tuner.search.study import Baseline, Progress, StudyResult
from tuner.simulator.kernel_data import KernelData
from tuner.space.build import build_space, setting_of
from tuner.space.meaning import meaning_of
from tuner.space.rules import broken
from tuner.spec import JobSpec
from tuner.trial import Measurement, Trial, TrialState

Job = Callable[..., JobSpec]
SMALL = {"tensor_parallel": [1, 2, 4], "pipeline_parallel": [1], "weights": ["fp8"], "concurrency": [1, 4, 16, 64, 256]}
LARGER = {"tensor_parallel": [1, 2, 4], "pipeline_parallel": [1], "weights": ["fp8"]}


class Recorder:
    """A listener that keeps what it hears, each trial as it was heard last; cancels when it is told to."""

    def __init__(self, cancel_when: Callable[["Recorder"], bool] = lambda _: False) -> None:
        self.trial_of: dict[int, Trial] = {}
        self.progress: list[Progress] = []
        self.frontiers: list[tuple[int, ...]] = []
        self.space_size, self.sampler = 0, ""
        self.baseline: Baseline | None = None
        self.cancelled_at = 0.0
        self._cancel_when = cancel_when

    def started(self, space_size: int, sampler: str, baseline: Baseline | None) -> None:
        self.space_size, self.sampler, self.baseline = space_size, sampler, baseline

    def trials(self, batch: Sequence[Trial], progress: Progress, frontier: Sequence[int]) -> None:
        self.trial_of |= {trial.number: trial for trial in batch}
        self.progress.append(progress)
        self.frontiers.append(tuple(frontier))

    def doing(self, words: str | None) -> None:
        pass

    def cancelled(self) -> bool:
        if self._cancel_when(self) and not self.cancelled_at:
            self.cancelled_at = time.monotonic()
        return self.cancelled_at > 0


def heard(spec: JobSpec, pool: EvaluationPool) -> tuple[StudyResult, Recorder]:
    recorder = Recorder()
    return run_job(spec, recorder, pool), recorder


def values(metrics: Mapping[str, float], spec: JobSpec) -> tuple[float, ...]:
    return tuple(metrics[objective.metric] for objective in spec.objectives)


def true_frontier(spec: JobSpec, evaluated: Sequence[tuple[Configuration, Measurement]]) -> set[Configuration]:
    """By definition: every evaluated configuration that keeps the bounds and that no other such one dominates."""
    kept = [
        (configuration, values(found.metrics, spec))
        for configuration, found in evaluated
        if found.failure is None and all(found.metrics[key] <= bound for key, bound in spec.constraints.items())
    ]
    return {
        configuration
        for configuration, mine in kept
        if not any(all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine for _, other in kept)
    }


def enumerated(spec: JobSpec) -> list[Configuration]:
    """The same space without the code that builds it: a plain product, sifted by the rules, idle duplicates included."""
    setting = setting_of(meaning_of(spec), meaning_of(spec).targets[0][1])
    product = itertools.product((1, 2, 4), ("fp8",), ("bfloat16", "fp8"), (1, 4, 16, 64, 256))
    return [
        configuration
        for tp, weights, kv_cache, load in product
        for tokens, chunked in itertools.product((2048, 4096, 8192, 16384), (False, True))
        if broken(
            configuration := Configuration(
                "tensorrt-llm",
                "h100_sxm",
                replicas=4 // tp,
                tensor_parallel=tp,
                weights=weights,
                kv_cache=kv_cache,
                max_batch_size=load,
                max_num_tokens=tokens,
                concurrency=load,
                chunked_prefill=chunked,
            ),
            setting,
        )
        is None
    ]


def test_the_frontier_of_a_small_space_is_that_of_a_brute_force_enumeration(
    job: Job, pool: EvaluationPool, kernels: KernelData
) -> None:
    spec = job(space=SMALL, constraints={"ttft_mean_ms": 400})
    alone = SimulateEvaluator(meaning_of(spec), kernels)

    result, recorder = heard(spec, pool)

    space = list(build_space(spec))
    truth = true_frontier(spec, [(c, alone.simulate(c)) for c in space])
    assert {recorder.trial_of[number].configuration for number in result.frontier} == truth
    assert (result.space_size, result.evaluated, result.sampler) == (len(space), len(space), "exhaustive")


def test_nothing_that_an_enumeration_of_all_knobs_finds_is_better(
    job: Job, pool: EvaluationPool, kernels: KernelData
) -> None:
    spec = job(space=SMALL)
    alone = SimulateEvaluator(meaning_of(spec), kernels)
    result, recorder = heard(spec, pool)
    frontier = [values(recorder.trial_of[number].metrics, spec) for number in result.frontier]

    # steps larger than all prompts at hand change nothing, which is why the space leaves them out
    for configuration in enumerated(spec)[::3]:
        found = alone.simulate(configuration)
        if found.failure is None:
            mine = values(found.metrics, spec)
            assert any(all(a <= b * 1.005 for a, b in zip(member, mine, strict=True)) for member in frontier), (
                configuration
            )


def test_the_frontier_of_a_larger_space_stands_though_not_all_of_it_was_simulated(
    job: Job, pool: EvaluationPool
) -> None:
    spec = job(space=LARGER, objectives=["cost", "energy", "tpot"])
    space = build_space(spec)
    result, recorder = heard(spec, pool)

    step = len(space) // 8 + 1
    parts = [space[start : start + step] for start in range(0, len(space), step)]
    everything = [pool.simulate(spec, part) for part in parts]
    truth = true_frontier(
        spec,
        [
            pair
            for part, future in zip(parts, everything, strict=True)
            for pair in zip(part, future.result(), strict=True)
        ],
    )

    found = {recorder.trial_of[number].configuration for number in result.frontier}
    assert len(found & truth) >= 0.95 * len(truth)
    assert len(found - truth) <= 0.05 * len(found) + 1


def test_trials_come_in_order_with_their_progress(job: Job, pool: EvaluationPool) -> None:
    spec = job(space=SMALL)
    result, recorder = heard(spec, pool)

    assert sorted(recorder.trial_of) == list(range(result.evaluated))
    assert [recorder.trial_of[n].configuration for n in range(result.evaluated)] == list(build_space(spec))
    evaluated = [progress.evaluated for progress in recorder.progress]
    assert evaluated == sorted(evaluated)
    assert recorder.progress[-1].evaluated == recorder.progress[-1].planned == result.space_size
    assert recorder.frontiers[-1] == result.frontier
    known = [p.hypervolume for p in recorder.progress if p.hypervolume is not None]
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(known))
    assert result.hypervolume == known[-1]


def test_states_add_up(job: Job, pool: EvaluationPool) -> None:
    spec = job(model="meta-llama/Llama-3.1-70B-Instruct", space=SMALL, constraints={"tpot_mean_ms": 20})
    result, recorder = heard(spec, pool)
    states = [trial.state for trial in recorder.trial_of.values()]

    assert result.failed == states.count(TrialState.FAILED) > 0
    assert result.feasible == states.count(TrialState.COMPLETE) > 0
    assert TrialState.INFEASIBLE in states
    assert all(
        (trial.failure is not None) == (trial.state is TrialState.FAILED) for trial in recorder.trial_of.values()
    )


def test_the_same_job_gives_the_same_result(job: Job, pool: EvaluationPool) -> None:
    (first, one), (second, other) = heard(job(space=SMALL), pool), heard(job(space=SMALL), pool)

    assert first.frontier == second.frontier
    assert one.trial_of == other.trial_of


def test_impossible_constraints_end_well_and_say_what_excludes_most(job: Job, pool: EvaluationPool) -> None:
    spec = job(space=SMALL, constraints={"tpot_mean_ms": 0.5, "ttft_mean_ms": 100_000})

    result, recorder = heard(spec, pool)

    assert (result.feasible, result.frontier, result.cancelled) == (0, (), False)
    miss = result.misses[0]
    assert (miss.metric, miss.bound) == ("tpot_mean_ms", 0.5)
    assert miss.excluded == result.evaluated - result.failed
    nearest = recorder.trial_of[miss.nearest_trial].metrics["tpot_mean_ms"]
    assert (
        miss.nearest_value
        == nearest
        == min(trial.metrics["tpot_mean_ms"] for trial in recorder.trial_of.values() if trial.metrics)
    )


def test_the_default_keeps_the_bounds_where_it_can(job: Job, pool: EvaluationPool) -> None:
    easy, _ = heard(job(space=SMALL, constraints={"tpot_mean_ms": 50}), pool)
    hopeless, _ = heard(job(space=SMALL, constraints={"tpot_mean_ms": 0.5}), pool)

    assert easy.baseline is not None
    assert easy.baseline.meets_constraints
    assert easy.baseline.metrics["tpot_mean_ms"] <= 50
    assert easy.baseline.configuration.tensor_parallel == 1
    assert hopeless.baseline is not None
    assert not hopeless.baseline.meets_constraints


def test_the_default_is_widened_until_it_fits(job: Job, pool: EvaluationPool) -> None:
    spec = job(model="meta-llama/Llama-3.1-70B-Instruct", space={**SMALL, "weights": ["fp8"]})

    baseline = heard(spec, pool)[0].baseline

    assert baseline is not None
    assert baseline.configuration.weights == "bfloat16"
    assert baseline.configuration.tensor_parallel > 1  # 140 GB of weights


def test_the_default_of_a_rate_serves_it(job: Job, pool: EvaluationPool) -> None:
    workload = {"input_tokens": 2000, "output_tokens": 500, "request_rate": 1}
    spec = job(
        workload=workload,
        space={"tensor_parallel": [1], "weights": ["fp8"], "pipeline_parallel": [1], "kv_cache": ["fp8"]},
    )

    result, _ = heard(spec, pool)

    assert result.baseline is not None
    assert result.baseline.metrics["requests_per_second"] == pytest.approx(1, rel=0.1)


def test_one_token_answers_are_a_job_too(job: Job, pool: EvaluationPool) -> None:
    workload = {"input_tokens": 1024, "output_tokens": 1}

    result, _ = heard(job(workload=workload, objectives=["cost", "ttft"], space=SMALL), pool)

    assert result.feasible > 0
    assert result.frontier


@pytest.mark.parametrize(
    ("space", "when"),
    [
        ({}, lambda recorder: len(recorder.trial_of) > 0),
        (SMALL, lambda recorder: len(recorder.progress) > 1 and recorder.progress[-1].eta_seconds is not None),
        ({}, lambda recorder: recorder.space_size == 0),
    ],
    ids=["while it sweeps", "while it simulates", "before it starts"],
)
def test_a_cancelled_job_ends_within_a_second_and_keeps_what_it_has(
    job: Job, pool: EvaluationPool, space: dict[str, object], when: Callable[[Recorder], bool]
) -> None:
    recorder = Recorder(when)

    result = run_job(job(space=space), recorder, pool)

    assert time.monotonic() - recorder.cancelled_at < 1.0
    assert result.cancelled
    assert result.evaluated == len(recorder.trial_of) == max(recorder.trial_of, default=-1) + 1


def test_a_listener_that_raises_ends_the_job(job: Job, pool: EvaluationPool) -> None:
    class Broken(Recorder):
        def trials(self, batch: Sequence[Trial], progress: Progress, frontier: Sequence[int]) -> None:
            raise ConnectionError("the database is gone")

    with pytest.raises(ConnectionError, match="the database is gone"):
        run_job(job(space=SMALL), Broken(), pool)


def test_two_jobs_share_a_pool(job: Job, pool: EvaluationPool) -> None:
    specs = [job(space=SMALL), job(space=SMALL, objectives=["cost", "ttft"])]
    alone = [heard(spec, pool)[0].frontier for spec in specs]
    found: dict[int, tuple[int, ...]] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: heard(specs[n], pool)[0].frontier})) for n in (0, 1)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [found[0], found[1]] == alone


def test_a_wrong_spec_is_refused_before_anything_runs(job: Job, pool: EvaluationPool) -> None:
    recorder = Recorder()

    with pytest.raises(SpecError, match="not known here"):
        run_job(job(model="nobody/x"), recorder, pool)

    assert recorder.trial_of == {}


def test_a_space_beyond_the_sweep_is_sampled(job: Job, pool: EvaluationPool) -> None:
    wide = {"concurrency": list(range(8, 1032)), "max_num_tokens": list(range(2048, 16384, 1024)), "weights": ["fp8"]}
    spec = job(space=wide, budget={"trials": 300})

    result, recorder = heard(spec, pool)

    assert result.space_size > 250_000
    assert (result.sampler, result.evaluated) == ("nsga2", 300)
    assert result.frontier
    assert len({trial.configuration for trial in recorder.trial_of.values()}) == 300
