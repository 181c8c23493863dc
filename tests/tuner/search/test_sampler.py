"""The sampler of spaces too large to sweep: reproducible, legal, and nothing twice."""

import threading
from collections.abc import Callable

import pytest

from tuner.configuration import Configuration
from tuner.evaluators.pool import EvaluationPool
from tuner.search.sampler import sampled
from tuner.search.waiting import CancelledStudyError
from tuner.space.build import build_space
from tuner.spec import JobSpec

Job = Callable[..., JobSpec]
BUDGET = {"trials": 400}


def chosen(spec: JobSpec, pool: EvaluationPool) -> list[Configuration]:
    return [c for batch in sampled(spec, build_space(spec), pool, lambda: False) for c, _ in batch]


def test_the_same_seed_gives_the_same_trials(job: Job, pool: EvaluationPool) -> None:
    first = chosen(job(budget=BUDGET, seed=3), pool)

    assert chosen(job(budget=BUDGET, seed=3), pool) == first
    assert chosen(job(budget=BUDGET, seed=4), pool) != first


def test_trials_are_legal_and_different_and_as_many_as_the_budget(job: Job, pool: EvaluationPool) -> None:
    spec = job(budget=BUDGET)
    legal = set(build_space(spec))

    found = chosen(spec, pool)

    assert len(found) == len(set(found)) == 400
    assert set(found) <= legal


def test_a_space_smaller_than_the_budget_is_not_searched_for_ever(job: Job, pool: EvaluationPool) -> None:
    spec = job(
        budget={"trials": 1000},
        space={"tensor_parallel": [1], "pipeline_parallel": [1], "weights": ["fp8"], "concurrency": [1, 8, 64]},
    )

    found = chosen(spec, pool)

    assert set(found) == set(build_space(spec))


def test_it_does_better_than_chance(job: Job, pool: EvaluationPool) -> None:
    spec = job(budget={"trials": 900}, constraints={"tpot_mean_ms": 8.0}, objectives=["cost", "ttft"])
    metric = "cost_usd_per_million_output_tokens"
    batches = list(sampled(spec, build_space(spec), pool, lambda: False))

    def good(part: list[tuple[Configuration, object]]) -> float:
        """Share of configurations that keep the bound."""
        kept = [m for _, m in part if m.metrics.get("tpot_mean_ms", 1e9) <= 8.0 and metric in m.metrics]  # type: ignore[attr-defined]
        return len(kept) / len(part)

    assert good(list(batches[-2])) > good(list(batches[0]))


def test_a_cancelled_sampling_stops(job: Job, pool: EvaluationPool) -> None:
    spec = job(budget=BUDGET)
    stop = threading.Event()
    batches = sampled(spec, build_space(spec), pool, stop.is_set)

    next(batches)
    stop.set()

    with pytest.raises(CancelledStudyError):
        list(batches)
