"""Real parts shared by all tests: kernel data, evaluating processes, small jobs, scripted GPUs, and a closed network."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tuner.power.scripted import FOLDER_VARIABLE, Machine, compiled, preload
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


@pytest.fixture(scope="session")
def steps_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the TensorRT-LLM stand-in keeps its step times for the session."""
    return tmp_path_factory.mktemp("steps")


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripted NVML, compiled, and found by this process's loader."""
    library = compiled(tmp_path_factory.mktemp("nvml"))
    preload(library)
    return library


@pytest.fixture
def machine(nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose scripted GPUs the test adds before it opens NVML."""
    folder = tmp_path / "machine"
    folder.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return Machine(folder)


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
