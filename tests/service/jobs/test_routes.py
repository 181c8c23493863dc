"""Jobs over HTTP: names, codes and shapes of the public contract."""

import json
from collections.abc import Callable
from datetime import datetime

import pytest
import yaml
from fastapi.testclient import TestClient

from service.database.session import Database
from service.settings import Settings
from service.workers import lease as leases
from tuner.spec import JobSpec

SPEC = {
    "name": "chat",
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "hardware": {"gpu": "h100_sxm", "gpus": 2},
    "workload": {"input_tokens": 256, "output_tokens": 64, "concurrency": 16},
}


def submit(client: TestClient, **changes: object) -> str:
    response = client.post("/v1/jobs", json={**SPEC, **changes})
    assert response.status_code == 201, response.text
    name: str = response.json()["id"]
    return name


def take(settings: Settings, now: datetime) -> None:
    """Leases the oldest job, as a worker does."""
    with Database(settings.url) as database, database.write() as session:
        assert leases.acquire(session, "worker", now)


def problem_of(response: object, status: int) -> dict[str, object]:
    assert response.status_code == status, response.text  # type: ignore[attr-defined]
    assert response.headers["content-type"] == "application/problem+json"  # type: ignore[attr-defined]
    found: dict[str, object] = response.json()  # type: ignore[attr-defined]
    assert found.keys() == {"type", "title", "status", "detail", "errors"}
    assert found["status"] == status
    return found


def fields_of(found: dict[str, object]) -> list[str]:
    errors = found["errors"]
    assert isinstance(errors, list)
    return [error["field"] for error in errors]


def test_a_submitted_job_is_queued_where_location_says(client: TestClient) -> None:
    response = client.post("/v1/jobs", json=SPEC)

    assert response.status_code == 201
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert client.get(response.headers["location"]).json() == job
    assert job["state"] == "queued"
    assert job["spec"]["model"] == SPEC["model"]
    assert job["created_at"].endswith("Z")
    assert job["progress"].keys() == {"evaluated", "planned", "frontier_size", "hypervolume", "eta_seconds", "activity"}
    assert job["progress"]["planned"] > 0
    absent = ("started_at", "finished_at", "search", "baseline", "failure")
    assert [job[field] for field in absent] == [None] * 5


def test_a_spec_can_be_yaml(client: TestClient) -> None:
    response = client.post(
        "/v1/jobs", content=yaml.safe_dump(SPEC), headers={"Content-Type": "application/yaml; charset=utf-8"}
    )

    assert response.status_code == 201
    assert response.json()["name"] == "chat"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"modle": "x"}, "modle"),
        ({"hardware": {"gpu": "h100_sxm", "gpus": 0}}, "hardware.gpus"),
        ({"hardware": {"gpu": "h1000_sxm", "gpus": 1}}, "hardware.gpu"),
        ({"model": "meta-llama/Llama-9-8B"}, "model"),
        ({"workload": {"input_tokens": -5, "output_tokens": 64}}, "workload.input_tokens"),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, changes: dict[str, object], field: str) -> None:
    found = problem_of(client.post("/v1/jobs", json={**SPEC, **changes}), 422)

    assert fields_of(found) == [field]


@pytest.mark.parametrize(
    ("body", "media_type", "words"),
    [
        (b'{"model": "m",}', "application/json", "line 1 column 15"),
        (b"", "application/json", "empty"),
        (b"[" * 5_000, "application/json", "not valid JSON"),
        (b"model: [a\nhardware: x", "application/yaml", "line 2"),
        (b"[" * 5_000, "application/yaml", "too deeply"),
        (b"\xff\xfe", "application/yaml", "UTF-8"),
        (b"- 1", "application/yaml", "mapping"),
    ],
)
def test_a_body_that_cannot_be_read_says_where(client: TestClient, body: bytes, media_type: str, words: str) -> None:
    found = problem_of(client.post("/v1/jobs", content=body, headers={"Content-Type": media_type}), 422)

    assert words in str(found["detail"])


def test_a_body_in_another_format_is_refused(client: TestClient) -> None:
    problem_of(client.post("/v1/jobs", content=b"a=b", headers={"Content-Type": "text/plain"}), 415)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_that_is_too_large_is_refused(client: TestClient, streamed: bool) -> None:
    large = b'{"name": "' + b"x" * 1_100_000 + b'"}'
    content = iter([large[:500_000], large[500_000:]]) if streamed else large

    problem_of(client.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"}), 413)


def test_the_same_key_and_spec_give_the_same_job(client: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post("/v1/jobs", json=SPEC, headers=headers)

    again = client.post(
        "/v1/jobs", content=yaml.safe_dump(SPEC), headers={**headers, "Content-Type": "application/yaml"}
    )

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert len(client.get("/v1/jobs").json()["items"]) == 1


def test_the_same_key_with_another_spec_is_refused(client: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    client.post("/v1/jobs", json=SPEC, headers=headers)

    found = problem_of(client.post("/v1/jobs", json={**SPEC, "seed": 7}, headers=headers), 422)

    assert fields_of(found) == ["Idempotency-Key"]


def test_cursors_lead_through_every_job_newest_first(client: TestClient) -> None:
    jobs = [submit(client) for _ in range(5)]

    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = client.get("/v1/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [job["id"] for job in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == jobs[::-1]


def test_jobs_can_be_listed_by_state_and_model(client: TestClient) -> None:
    first, second = submit(client), submit(client)
    client.post(f"/v1/jobs/{first}/cancel")

    queued = client.get("/v1/jobs", params={"state": "queued", "model": SPEC["model"]}).json()
    assert [job["id"] for job in queued["items"]] == [second]
    assert client.get("/v1/jobs", params={"model": "another"}).json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "???"}, "cursor"),
        ({"cursor": "WyJ4Il0"}, "cursor"),
        ({"limit": 0}, "limit"),
        ({"state": "x"}, "state"),
    ],
)
def test_a_wrong_query_is_named(client: TestClient, query: dict[str, str], field: str) -> None:
    assert fields_of(problem_of(client.get("/v1/jobs", params=query), 422)) == [field]


def test_a_queued_job_is_cancelled_at_once(client: TestClient) -> None:
    job = submit(client)

    response = client.post(f"/v1/jobs/{job}/cancel")

    assert response.status_code == 202
    assert response.json()["state"] == "cancelled"
    assert response.json()["finished_at"] is not None


def test_a_running_job_is_asked_to_stop(client: TestClient, settings: Settings, clock: Callable[[], datetime]) -> None:
    job = submit(client)
    take(settings, clock())

    response = client.post(f"/v1/jobs/{job}/cancel")

    assert response.status_code == 202
    assert (response.json()["state"], response.json()["cancel_requested"]) == ("running", True)


def test_a_running_job_whose_worker_is_gone_is_cancelled_at_once(
    client: TestClient, settings: Settings, clock: Callable[[], datetime], advance: Callable[[float], None]
) -> None:
    job = submit(client)
    take(settings, clock())
    advance(leases.LEASE.total_seconds() + 1)

    assert client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"


def test_a_job_that_is_over_cannot_be_cancelled_but_deleted(client: TestClient) -> None:
    job = submit(client)
    client.post(f"/v1/jobs/{job}/cancel")

    assert "cancelled" in str(problem_of(client.post(f"/v1/jobs/{job}/cancel"), 409)["detail"])
    assert client.delete(f"/v1/jobs/{job}").status_code == 202
    problem_of(client.get(f"/v1/jobs/{job}"), 404)


def test_a_queued_job_cannot_be_deleted(client: TestClient) -> None:
    job = submit(client)

    assert "cancel it first" in str(problem_of(client.delete(f"/v1/jobs/{job}"), 409)["detail"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/jobs/none", 404),
        ("POST", "/v1/jobs/none/cancel", 404),
        ("DELETE", "/v1/jobs/none", 404),
        ("GET", "/v1/jobs/none/trials", 404),
        ("GET", "/v1/jobs/none/trials/0", 404),
        ("GET", "/v1/jobs/none/frontier", 404),
        ("GET", "/v1/jobs/none/recommendations", 404),
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/jobs", 405),
    ],
)
def test_what_is_not_there_is_a_problem(client: TestClient, method: str, path: str, status: int) -> None:
    problem_of(client.request(method, path), status)


def test_a_spec_reads_back_as_what_was_sent(client: TestClient, spec: JobSpec) -> None:
    stored = client.post("/v1/jobs", json=json.loads(spec.model_dump_json())).json()["spec"]

    assert JobSpec.model_validate(stored) == spec


def test_a_job_cannot_name_a_command_unless_the_operator_allows_it(client: TestClient) -> None:
    spec = {
        **SPEC,
        "engine": "command",
        "command": {"arguments": ["sh", "-c", "id", "{port}"]},
        "space": {},
        "evaluator": "measure",
        "pricing": {"gpu_hour_usd": 1.0},
    }

    found = problem_of(client.post("/v1/jobs", json=spec), 422)

    assert fields_of(found) == ["command"]
    assert "PARETUNE_ALLOW_COMMANDS" in str(found["detail"])
