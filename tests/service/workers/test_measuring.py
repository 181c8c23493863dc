"""Measuring jobs through a worker: what they teach is kept, what they measured is never measured twice."""

import csv
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.database.session import Database
from service.jobs import lifecycle
from service.settings import Settings
from service.trials import lifecycle as results
from service.trials import store as trials
from service.workers.run import work
from tuner.evaluators.pool import EvaluationPool
from tuner.trial import Trial, TrialState

Submitted = Callable[..., str]
LOADS = (1, 4, 16, 64, 256)


@pytest.fixture(scope="module")
def pool() -> Iterator[EvaluationPool]:
    with EvaluationPool(processes=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty configurations as somebody might have measured them, one of them out of memory."""
    path = tmp_path_factory.mktemp("measured") / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "tensor_parallel",
                "weights",
                "kv_cache",
                "concurrency",
                "failure",
                "ttft_mean_ms",
                "tpot_mean_ms",
                "output_tokens_per_second_per_gpu",
                "power_watts_per_gpu",
            ]
        )
        for parallel in (1, 2):
            for weights in ("bfloat16", "fp8"):
                for cache in ("bfloat16", "fp8"):
                    for load in LOADS:
                        writer.writerow(_row(parallel, weights, cache, load))
    return path


def _row(parallel: int, weights: str, cache: str, load: int) -> list[object]:
    knobs = [parallel, weights, cache, load]
    if (parallel, weights, cache, load) == (1, "bfloat16", "bfloat16", 256):
        return [*knobs, "out_of_memory", "", "", "", ""]
    tpot = (6.0 if weights == "fp8" else 9.0) / parallel**0.7 * (1 + math.log2(load) / 5)
    rate = 1000 * load / tpot / parallel
    return [*knobs, "", 10 + load / parallel, tpot, rate, 300 + 40 * math.log2(load)]


@pytest.fixture
def asked(table: Path) -> dict[str, object]:
    return {
        "workload": {"input_tokens": 256, "output_tokens": 64},
        "space": {},
        "evaluator": "staged",
        "replay": {"table": str(table)},
        "objectives": ["cost", "tpot"],
        "budget": {"trials": 8},
    }


def run(settings: Settings, pool: EvaluationPool) -> None:
    work(settings, stop=threading.Event(), once=True, pool=pool)


def test_a_staged_job_says_what_it_learned(
    settings: Settings,
    client: TestClient,
    submitted: Submitted,
    asked: dict[str, object],
    pool: EvaluationPool,
) -> None:
    job = submitted(**asked)

    run(settings, pool)

    found = client.get(f"/v1/jobs/{job}").json()
    assert found["state"] == "succeeded", found["failure"]
    assert found["search"]["stopped"] == "the budget of trials is used up"
    known = {item["metric"]: item for item in found["search"]["accuracy"]}
    assert known["tpot_mean_ms"]["measurements"] > 0
    assert known["tpot_mean_ms"]["simulated_error"] > 0
    trial = client.get(f"/v1/jobs/{job}/trials/0").json()
    assert {"rule", "predicted", "simulated", "chance_feasible"} <= set(trial["reason"])


def test_what_was_not_measured_is_predicted_and_paged(
    settings: Settings, client: TestClient, submitted: Submitted, asked: dict[str, object], pool: EvaluationPool
) -> None:
    job = submitted(**asked)
    assert client.get(f"/v1/jobs/{job}/predictions").json() == {"items": [], "next_cursor": None}

    run(settings, pool)

    first = client.get(f"/v1/jobs/{job}/predictions", params={"limit": 20}).json()
    rest = client.get(f"/v1/jobs/{job}/predictions", params={"cursor": first["next_cursor"]}).json()
    items = [*first["items"], *rest["items"]]
    assert len(items) == 40 - 8
    assert [item["place"] for item in items] == list(range(32))
    item = items[0]
    low, high = item["intervals"]["tpot_mean_ms"]
    assert low < item["calibrated"]["tpot_mean_ms"] < high
    assert item["simulated"]["tpot_mean_ms"] > 0
    assert 0 <= item["chance_feasible"] <= 1
    assert client.get("/v1/jobs/nothing/predictions").status_code == 404


@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
def test_a_later_job_starts_from_what_was_learned_unless_it_refuses(
    settings: Settings, database: Database, submitted: Submitted, asked: dict[str, object], pool: EvaluationPool
) -> None:
    submitted(**asked)
    run(settings, pool)

    wiser = submitted(**{**asked, "workload": {"input_tokens": 512, "output_tokens": 64}})
    plain = submitted(**asked, reuse="none")
    other = submitted(**{**asked, "model": "Qwen/Qwen3-8B"})
    run(settings, pool)

    lessons = [lifecycle.get(database, job).search for job in (wiser, plain, other)]
    assert [found["lessons"] if found else None for found in lessons] == [8, 0, 0]


def test_lessons_outlive_their_job(
    settings: Settings, database: Database, submitted: Submitted, asked: dict[str, object], pool: EvaluationPool
) -> None:
    first = submitted(**asked)
    run(settings, pool)
    lifecycle.delete(database, first)

    second = submitted(**asked)
    run(settings, pool)

    found = lifecycle.get(database, second).search
    assert found is not None
    assert found["lessons"] == 8


@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
def test_a_job_whose_worker_died_goes_on_with_its_trials(
    settings: Settings, database: Database, submitted: Submitted, asked: dict[str, object], pool: EvaluationPool
) -> None:
    whole = submitted(**asked, reuse="none")
    run(settings, pool)
    ended = _trials(database, whole)
    cut = submitted(**asked, reuse="none")
    half_way = Trial(5, ended[5].configuration, TrialState.RUNNING)
    with database.write() as session:
        trials.put(session, cut, [*ended[:5], half_way])

    run(settings, pool)

    assert lifecycle.get(database, cut).state == "succeeded"
    found = _trials(database, cut)
    assert found[:5] == ended[:5]
    assert [trial.number for trial in found] == list(range(8))
    assert [trial.configuration for trial in found] == [trial.configuration for trial in ended]
    assert results.frontier(database, cut).hypervolume == results.frontier(database, whole).hypervolume


def test_a_job_is_tuned_again_from_what_it_learned(
    settings: Settings, client: TestClient, submitted: Submitted, asked: dict[str, object], pool: EvaluationPool
) -> None:
    job = submitted(**asked, reuse="none")
    run(settings, pool)

    answer = client.post(f"/v1/jobs/{job}/retune", json={"budget": {"trials": 4}, "name": None})
    run(settings, pool)

    assert answer.status_code == 201
    again = client.get(answer.headers["Location"]).json()
    assert (again["parent_id"], again["name"], again["spec"]["budget"]["trials"]) == (job, None, 4)
    assert again["state"] == "succeeded", again["failure"]
    assert again["search"]["lessons"] == 8


def test_a_wrong_retune_is_refused_by_field(client: TestClient, submitted: Submitted, asked: dict[str, object]) -> None:
    job = submitted(**asked)

    wrong = client.post(f"/v1/jobs/{job}/retune", json={"budget": {"trials": -1}})
    absent = client.post("/v1/jobs/nothing/retune")

    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "budget.trials"
    assert absent.status_code == 404


def test_a_retune_with_the_same_key_is_made_once(
    client: TestClient, submitted: Submitted, asked: dict[str, object]
) -> None:
    job, headers = submitted(**asked), {"Idempotency-Key": "once"}

    first = client.post(f"/v1/jobs/{job}/retune", headers=headers)
    second = client.post(f"/v1/jobs/{job}/retune", headers=headers)
    other = client.post(f"/v1/jobs/{job}/retune", json={"seed": 3}, headers=headers)

    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert other.status_code == 422


def _trials(database: Database, job: str) -> list[Trial]:
    with database.read() as session:
        return trials.all_of(session, job)
