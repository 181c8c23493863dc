"""Liveness, readiness, metrics and the index."""

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.database import migrate
from service.settings import Settings


def test_a_started_service_is_alive_and_ready(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "revision": migrate.head_revision()}


def test_without_the_schema_the_service_is_alive_but_not_ready(settings: Settings) -> None:
    with TestClient(create_app(settings.model_copy(update={"migrate": False}))) as client:
        assert client.get("/healthz").status_code == 200
        response = client.get("/readyz")

    assert response.status_code == 503
    assert "paretune db upgrade" in response.json()["detail"]


def test_the_service_starts_and_tells_when_the_database_is_not_there(settings: Settings) -> None:
    absent = settings.model_copy(update={"database_url": "postgresql://127.0.0.1:1/absent"})
    with TestClient(create_app(absent), raise_server_exceptions=False) as client:
        assert "does not answer" in client.get("/readyz").json()["detail"]
        assert client.get("/v1/jobs").status_code == 503


def test_metrics_count_jobs_by_state(client: TestClient) -> None:
    families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}

    assert {sample.labels["state"]: sample.value for sample in families["paretune_jobs"].samples} == {
        "queued": 0,
        "running": 0,
        "succeeded": 0,
        "failed": 0,
        "cancelled": 0,
    }
    assert families["paretune_trials"].samples[0].value == 0


def test_the_index_points_to_the_documentation(client: TestClient) -> None:
    assert client.get("/").json()["docs"] == "/docs"
    assert client.get("/docs").status_code == 200
