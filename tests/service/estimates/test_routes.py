"""One configuration, simulated over HTTP."""

import pytest
from fastapi.testclient import TestClient

BODY = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "gpu": "h100_sxm",
    "input_tokens": 256,
    "output_tokens": 64,
    "concurrency": 8,
    "configuration": {"tensor_parallel": 2, "weights": "fp8"},
}


def test_an_estimate_gives_the_whole_configuration_and_figures_with_provenance(client: TestClient) -> None:
    response = client.post("/v1/estimates", json=BODY)

    assert response.status_code == 200, response.text
    found = response.json()
    assert found["failure"] is None
    assert found["configuration"]["tensor_parallel"] == 2
    assert found["configuration"]["concurrency"] == 8
    assert found["metrics"]["tpot_mean_ms"] > 0
    assert found["provenance"]["tpot_mean_ms"] == "calibrated"
    assert found["provenance"].keys() == found["metrics"].keys()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"gpu": "h1000_sxm"}, "gpu"),
        ({"model": "meta-llama/Llama-9"}, "model"),
        ({"output_tokens": 0}, "output_tokens"),
        ({"configuration": {"tensor_paralel": 2}}, "configuration.tensor_paralel"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, changes: dict[str, object], field: str) -> None:
    response = client.post("/v1/estimates", json={**BODY, **changes})

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_a_body_that_is_no_json_says_where(client: TestClient) -> None:
    response = client.post("/v1/estimates", content=b'{"model": ', headers={"Content-Type": "application/json"})

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert "JSON" in response.json()["detail"]
