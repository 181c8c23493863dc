"""What other prices make of a job, at once and without evaluating anything again."""

from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from service.database.session import Database
from service.jobs import lifecycle
from service.settings import Settings
from service.trials import store
from tuner.configuration import Configuration
from tuner.metrics import Provenance
from tuner.spec import JobSpec
from tuner.trial import Trial, TrialState


def trial(number: int, rate: float, watts: float, tpot: float, *, screened: bool = False) -> Trial:
    metrics = {"output_tokens_per_second_per_gpu": rate, "power_watts_per_gpu": watts, "tpot_mean_ms": tpot}
    metrics |= {"energy_joules_per_output_token": watts / rate, "cost_usd_per_million_output_tokens": 1e6 / rate / 3600}
    return Trial(
        number,
        Configuration("tensorrt-llm", "h100_sxm", concurrency=number + 1),
        TrialState.COMPLETE,
        metrics,
        dict.fromkeys(metrics, Provenance.SIMULATED),
        screened=screened,
    )


@pytest.fixture
def job(client: TestClient, settings: Settings, spec: JobSpec) -> str:
    """A job whose cheapest trial by the GPU-hour is not its cheapest by the kilowatt-hour; one trial only screened."""
    with Database(settings.url) as database:
        name = lifecycle.submit(database, spec, lambda _: 3, datetime.now(UTC)).job.id
        with database.write() as session:
            store.put(
                session,
                name,
                [
                    trial(0, rate=1000, watts=700, tpot=20),
                    trial(1, rate=900, watts=200, tpot=20),
                    trial(2, rate=9999, watts=1, tpot=1, screened=True),
                ],
            )
    return name


def cheapest(client: TestClient, job: str, **prices: object) -> dict[str, object]:
    answer = client.get(f"/v1/jobs/{job}/recommendations", params=prices)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()["cheapest"]
    return found


def test_another_price_re_ranks_the_trials(client: TestClient, job: str) -> None:
    by_the_hour = cheapest(client, job, gpu_hour_usd=3.6)
    by_the_kilowatt_hour = cheapest(client, job, gpu_hour_usd=0.01, electricity_usd_per_kwh=1.0)

    assert (by_the_hour["number"], by_the_kilowatt_hour["number"]) == (0, 1)
    # $3.60 an hour over 3.6 M tokens
    assert by_the_hour["metrics"]["cost_usd_per_million_output_tokens"] == pytest.approx(1.0)  # type: ignore[index]


def test_a_screened_trial_joins_no_frontier(client: TestClient, job: str) -> None:
    points = client.get(f"/v1/jobs/{job}/frontier", params={"gpu_hour_usd": 2}).json()["points"]

    assert sorted(point["number"] for point in points) == [0, 1]


@pytest.mark.parametrize(
    ("query", "field"),
    [({"gpu_hour_usd": -1}, "gpu_hour_usd"), ({"tier": "gold"}, "tier"), ({"utilisation": 2}, "utilisation")],
)
def test_a_wrong_price_is_named(client: TestClient, job: str, query: dict[str, object], field: str) -> None:
    answer = client.get(f"/v1/jobs/{job}/frontier", params=query)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_trial_shows_the_arithmetic_of_its_cost(client: TestClient, job: str) -> None:
    breakdown = client.get(f"/v1/jobs/{job}/trials/0").json()["cost_breakdown"]

    amounts = {line["name"]: line["amount"] for line in breakdown["lines"]}
    assert amounts["cost of output tokens"] == pytest.approx(breakdown["cost_usd_per_million_output_tokens"])
    assert amounts["total"] / amounts["output tokens"] * 1e6 == pytest.approx(amounts["cost of output tokens"])
