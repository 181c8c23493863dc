"""Trials, frontier and recommendations over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from service.database.session import Database
from service.jobs import lifecycle
from service.settings import Settings
from service.trials import store
from service.workers import lease as leases
from tuner.spec import JobSpec
from tuner.trial import Trial


@pytest.fixture
def job(
    client: TestClient,
    settings: Settings,
    spec: JobSpec,
    complete: Callable[..., Trial],
    failed: Callable[[int], Trial],
) -> str:
    """A running job with five trials, of which 0, 1 and 3 are the frontier."""
    now = datetime.now(UTC)
    with Database(settings.url) as database:
        name = lifecycle.submit(database, spec, lambda _: 36, now).job.id
        trials = [
            complete(0, cost=3.0, energy=3.0, tpot=5.0),
            complete(1, cost=1.0, energy=2.0, tpot=30.0),
            failed(2),
            complete(3, cost=2.0, energy=1.0, tpot=9.0),
            complete(4, cost=9.0, energy=9.0, tpot=99.0),
        ]
        with database.write() as session:
            lease = leases.acquire(session, "worker", now)
            assert lease is not None
            leases.write(session, lease, {"evaluated": 5, "frontier": [0, 1, 3], "hypervolume": 0.25})
            store.put(session, name, trials)
    return name


def test_a_trial_shows_configuration_metrics_provenance_and_objectives(client: TestClient, job: str) -> None:
    trial = client.get(f"/v1/jobs/{job}/trials/1").json()

    assert trial["number"] == 1
    assert trial["state"] == "complete"
    assert trial["configuration"]["concurrency"] == 2
    assert "max_batch_size" not in trial["configuration"]
    assert trial["provenance"]["power_watts_per_gpu"] == "modelled"
    assert trial["provenance"]["tpot_mean_ms"] == "simulated"
    assert trial["objectives"] == {"cost": 1.0, "energy": 2.0, "tpot": 30.0}
    assert "goodput_requests_per_second" not in trial["metrics"]
    assert (trial["failure"], trial["log_tail"]) == (None, None)


def test_a_failed_trial_says_why(client: TestClient, job: str) -> None:
    trial = client.get(f"/v1/jobs/{job}/trials/2").json()

    assert trial["state"] == "failed"
    assert trial["failure"]["kind"] == "out_of_memory"
    assert "91.0 GiB" in trial["failure"]["detail"]
    assert (trial["metrics"], trial["objectives"]) == ({}, {})


def test_trials_are_paged_by_number(client: TestClient, job: str) -> None:
    first = client.get(f"/v1/jobs/{job}/trials", params={"limit": 3}).json()
    second = client.get(f"/v1/jobs/{job}/trials", params={"limit": 3, "cursor": first["next_cursor"]}).json()

    assert [trial["number"] for trial in first["items"] + second["items"]] == [0, 1, 2, 3, 4]
    assert second["next_cursor"] is None


def test_trials_can_be_listed_by_state(client: TestClient, job: str) -> None:
    page = client.get(f"/v1/jobs/{job}/trials", params={"state": "failed"}).json()

    assert [trial["number"] for trial in page["items"]] == [2]


@pytest.mark.parametrize(
    ("path", "field"),
    [("trials?cursor=%7B", "cursor"), ("trials?limit=1001", "limit"), ("trials/99999999999", "number")],
)
def test_a_wrong_query_is_named(client: TestClient, job: str, path: str, field: str) -> None:
    response = client.get(f"/v1/jobs/{job}/{path}")

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_the_frontier_of_a_running_job_is_sorted_by_the_first_objective(client: TestClient, job: str) -> None:
    frontier = client.get(f"/v1/jobs/{job}/frontier").json()

    assert frontier["objectives"] == ["cost", "energy", "tpot"]
    assert frontier["hypervolume"] == 0.25
    assert [point["number"] for point in frontier["points"]] == [1, 3, 0]


def test_recommendations_are_points_of_the_frontier(client: TestClient, job: str) -> None:
    named = client.get(f"/v1/jobs/{job}/recommendations").json()

    assert {name: trial["number"] for name, trial in named.items()} == {
        "cheapest": 1,
        "greenest": 3,
        "fastest": 0,
        "balanced": 3,
    }
    detail = client.get(f"/v1/jobs/{job}/trials/1").json()
    assert named["cheapest"] == {key: value for key, value in detail.items() if key != "cost_breakdown"}


def test_a_job_without_trials_has_an_empty_frontier_and_no_recommendation(
    client: TestClient, settings: Settings, spec: JobSpec
) -> None:
    with Database(settings.url) as database:
        name = lifecycle.submit(database, spec, lambda _: 36, datetime.now(UTC)).job.id

    assert client.get(f"/v1/jobs/{name}/frontier").json()["points"] == []
    assert client.get(f"/v1/jobs/{name}/recommendations").json() == {}
