"""Real parts shared by all tests: the kernel data, the evaluating processes, small jobs, and a closed network."""

import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tuner.evaluators.pool import EvaluationPool
from tuner.spec import JobSpec, parse_spec

if TYPE_CHECKING:
    from tuner.simulator.kernel_data import KernelData


@pytest.fixture(scope="session")
def kernels() -> "KernelData":
    """The kernel data, loaded once per session (a second a GPU type)."""
    from tuner.simulator.kernel_data import KernelData

    return KernelData()


@pytest.fixture(scope="session")
def pool() -> Iterator[EvaluationPool]:
    """Two evaluating processes, started once per session."""
    with EvaluationPool(processes=2) as opened:
        yield opened


@pytest.fixture(scope="session")
def spec_data() -> Callable[..., dict[str, object]]:
    """Makes the plain data of a small legal job, with some of its fields changed; `None` drops a field."""
    return _spec_data


@pytest.fixture(scope="session")
def job() -> Callable[..., JobSpec]:
    """Makes a small legal job, with some of its fields changed."""
    return lambda **changes: parse_spec(_spec_data(**changes))


@pytest.fixture
def network_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Closes the network; what was tried all the same is listed."""
    tried: list[str] = []

    def refuse(name: str) -> Callable[..., None]:
        def refused(*arguments: object, **_: object) -> None:
            tried.append(f"{name}{arguments}")
            raise OSError(f"no network in this test: {name}{arguments}")

        return refused

    monkeypatch.setattr(socket.socket, "connect", refuse("connect"))
    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse(name))
    return tried


def _spec_data(**changes: object) -> dict[str, object]:
    data: dict[str, object] = {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "hardware": {"gpu": "h100_sxm", "gpus": 4},
        "workload": {"input_tokens": 1024, "output_tokens": 128, "concurrency": "auto"},
        "objectives": ["cost", "tpot"],
    }
    return {key: value for key, value in (data | changes).items() if value is not None}
