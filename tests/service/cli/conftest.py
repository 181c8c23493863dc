"""Answers of a service, as the command line reads them."""

from collections.abc import Callable

import pytest

from service.client import JobAnswer, TrialAnswer


def _point(number: int, cost: float = 1.0, tpot: float = 10.0, **knobs: str | int | bool) -> TrialAnswer:
    metrics = {"cost_usd_per_million_output_tokens": cost, "tpot_mean_ms": tpot, "ttft_mean_ms": 40.0}
    return {
        "number": number,
        "state": "complete",
        "configuration": {"engine": "tensorrt-llm", "gpu": "h100_sxm", "tensor_parallel": 1, **knobs},
        "metrics": metrics,
        "provenance": dict.fromkeys(metrics, "simulated"),
        "objectives": {"cost": cost, "tpot": tpot},
        "failure": None,
    }


def _job() -> JobAnswer:
    return {
        "id": "abc",
        "name": None,
        "state": "succeeded",
        "cancel_requested": False,
        "spec": {"model": "m", "constraints": {"tpot_p95_ms": 25.0}},
        "created_at": "2026-01-02T03:04:05.000Z",
        "started_at": None,
        "finished_at": None,
        "progress": {
            "evaluated": 100,
            "planned": 100,
            "frontier_size": 0,
            "hypervolume": None,
            "eta_seconds": None,
            "activity": None,
        },
        "search": {},
        "baseline": None,
        "misses": [],
        "failure": None,
    }


@pytest.fixture
def point() -> Callable[..., TrialAnswer]:
    """Makes a point of a frontier of a number, a cost, a TPOT, and knobs."""
    return _point


@pytest.fixture
def job() -> JobAnswer:
    """A job that has succeeded, without a baseline."""
    return _job()
