"""The application as a whole: its OpenAPI document, its imports, its errors of last resort."""

import subprocess
import sys

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.app import create_app
from service.openapi import SPEC_EXAMPLE
from service.settings import Settings
from tuner.spec import parse_spec

HEAVY = ("aiconfigurator_core", "optuna", "pandas", "pynvml", "torch", "moocore", "alembic", "tuner.engines")


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return create_app(Settings(data_dir=tmp_path_factory.mktemp("data"))).openapi()


def operations(openapi: dict[str, object]) -> list[tuple[str, dict[str, object]]]:
    paths = openapi["paths"]
    assert isinstance(paths, dict)
    return [(f"{method} {path}", found) for path, item in paths.items() for method, found in item.items()]


def test_the_api_has_the_routes_of_the_contract(openapi: dict[str, object]) -> None:
    assert {name for name, _ in operations(openapi)} == {
        "post /v1/jobs",
        "get /v1/jobs",
        "get /v1/jobs/{job_id}",
        "delete /v1/jobs/{job_id}",
        "post /v1/jobs/{job_id}/cancel",
        "get /v1/jobs/{job_id}/trials",
        "get /v1/jobs/{job_id}/trials/{number}",
        "get /v1/jobs/{job_id}/frontier",
        "get /v1/jobs/{job_id}/recommendations",
        "get /v1/jobs/{job_id}/exports/{format}",
        "post /v1/estimates",
        "get /v1/hardware",
        "get /v1/models",
        "get /healthz",
        "get /readyz",
        "get /v1/jobs/{job_id}/predictions",
        "post /v1/jobs/{job_id}/retune",
        "get /metrics",
        "get /",
    }


def test_every_route_is_described_with_its_answer_and_its_problems(openapi: dict[str, object]) -> None:
    for name, operation in operations(openapi):
        assert operation["summary"], name
        assert operation["description"], name
        responses = operation["responses"]
        assert isinstance(responses, dict)
        for status, response in responses.items():
            content = response["content"]
            if status.startswith("2"):
                assert all("schema" in kind for kind in content.values()), f"{name} {status}"
            else:
                assert list(content) == ["application/problem+json"], f"{name} {status}"


def test_every_reference_of_the_document_leads_somewhere(openapi: dict[str, object]) -> None:
    components = openapi["components"]
    assert isinstance(components, dict)

    def references(node: object) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*(references(value) for value in node.values()))
        return set().union(*(references(value) for value in node)) if isinstance(node, list) else set()

    for reference in references(openapi):
        assert reference.removeprefix("#/components/schemas/") in components["schemas"]


def test_the_example_spec_is_a_spec() -> None:
    assert parse_spec(SPEC_EXAMPLE).model == SPEC_EXAMPLE["model"]


def test_the_application_imports_nothing_heavy() -> None:
    program = f"import service.app, sys; print([name for name in {HEAVY!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=None)

    assert done.stdout.strip() == "[]"


def test_a_fault_of_ours_is_a_problem_and_says_nothing_of_our_inside(settings: Settings) -> None:
    app: FastAPI = create_app(settings)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("secret")

    with TestClient(app, raise_server_exceptions=False) as client:
        response = client.get("/broken")

    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text
