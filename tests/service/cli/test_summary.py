from collections.abc import Callable

from service.cli.summary import infeasible, savings
from service.client import BaselineAnswer, JobAnswer, TrialAnswer

Point = Callable[..., TrialAnswer]


def _baseline(cost: float, *, meets: bool = True) -> BaselineAnswer:
    metrics = {"cost_usd_per_million_output_tokens": cost}
    return {"configuration": {"gpu": "h100_sxm"}, "metrics": metrics, "provenance": {}, "meets_constraints": meets}


def test_the_saving_is_a_ratio_at_the_same_limits(job: JobAnswer, point: Point) -> None:
    job["baseline"] = _baseline(2.4)

    lines = savings(job, {"cheapest": point(0, 1.0)})

    assert lines[0] == "The cheapest is 2.4x cheaper than the default configuration at the same latency limit."


def test_no_saving_is_said_too(job: JobAnswer, point: Point) -> None:
    job["baseline"] = _baseline(1.0)

    assert "as cheap as the default" in savings(job, {"cheapest": point(0, 1.0)})[0]


def test_a_default_that_misses_the_limits_is_named(job: JobAnswer, point: Point) -> None:
    job["baseline"] = _baseline(1.0, meets=False)

    assert "cannot meet the limits" in savings(job, {"cheapest": point(0, 1.0)})[0]


def test_the_constraint_that_excludes_most_is_named_with_its_nearest_miss(job: JobAnswer) -> None:
    job["misses"] = [
        {"metric": "tpot_p95_ms", "bound": 25, "excluded": 90, "nearest_value": 30, "nearest_trial": 7},
        {"metric": "ttft_p95_ms", "bound": 1, "excluded": 20, "nearest_value": 2, "nearest_trial": 8},
    ]

    assert infeasible(job, {}) == (
        "no feasible configuration: tpot_p95_ms excludes 90 of 100; the nearest (trial 7) has 30.0 ms against 25, "
        "20% above; loosen it in `constraints`"
    )


def test_without_a_constraint_the_commonest_failure_is_named(job: JobAnswer) -> None:
    said = infeasible(job, {"out_of_memory": 97, "unsupported": 3})

    assert said.startswith("no feasible configuration: 97 of 100 fail as out_of_memory; use more GPUs")
