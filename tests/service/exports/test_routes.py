"""Exports over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import yaml
from fastapi.testclient import TestClient

from service.database.session import Database
from service.jobs import lifecycle
from service.settings import Settings
from service.trials import store
from service.workers import lease as leases
from tuner.spec import JobSpec
from tuner.trial import Trial


@pytest.fixture
def queued(client: TestClient, settings: Settings, spec: JobSpec) -> str:
    with Database(settings.url) as database:
        return lifecycle.submit(database, spec, lambda _: 36, datetime.now(UTC)).job.id


@pytest.fixture
def job(queued: str, settings: Settings, complete: Callable[..., Trial], failed: Callable[[int], Trial]) -> str:
    """A running job whose frontier is trial 0, and whose trial 1 failed."""
    with Database(settings.url) as database, database.write() as session:
        lease = leases.acquire(session, "worker", datetime.now(UTC))
        assert lease is not None
        leases.write(session, lease, {"evaluated": 2, "frontier": [0]})
        store.put(session, queued, [complete(0), failed(1)])
    return queued


@pytest.mark.parametrize("pick", ["balanced", "cheapest", "0"])
def test_a_point_is_exported_as_a_file_by_name_or_number(client: TestClient, job: str, pick: str) -> None:
    response = client.get(f"/v1/jobs/{job}/exports/trtllm-serve", params={"pick": pick})

    assert response.status_code == 200, response.text
    assert response.headers["content-disposition"].startswith("attachment; filename=")
    assert yaml.safe_load(response.text)["tensor_parallel_size"] == 1
    assert job in response.text


def test_balanced_is_exported_when_nothing_is_picked(client: TestClient, job: str) -> None:
    path = f"/v1/jobs/{job}/exports/json"

    assert client.get(path).text == client.get(path, params={"pick": "balanced"}).text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("exports/word", 404, "trtllm-serve"),
        ("exports/json?pick=77", 404, "no trial 77"),
        ("exports/json?pick=cheepest", 422, "cheapest"),
        ("exports/trtllm-serve?pick=1", 409, "frontier"),
    ],
)
def test_what_cannot_be_exported_is_a_problem(client: TestClient, job: str, path: str, status: int, words: str) -> None:
    response = client.get(f"/v1/jobs/{job}/{path}")

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert words in response.json()["detail"]


def test_a_queued_job_has_nothing_to_export_yet(client: TestClient, queued: str) -> None:
    response = client.get(f"/v1/jobs/{queued}/exports/json")

    assert response.status_code == 409
    assert "wait" in response.json()["detail"]
