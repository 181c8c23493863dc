"""Machines with GPUs that are scripted, behind the real pynvml."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tuner.power.scripted import FOLDER_VARIABLE, Machine, compiled, preload
from tuner.power.nvml import Nvml, open_nvml


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripted NVML, compiled, and found by this process's loader."""
    library = compiled(tmp_path_factory.mktemp("nvml"))
    preload(library)
    return library


@pytest.fixture
def machine(nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose GPUs the test adds before it opens NVML."""
    folder = tmp_path / "machine"
    folder.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return Machine(folder)


@pytest.fixture
def nvml(machine: Machine) -> Iterator[Nvml]:
    """A session on a machine with two GPUs."""
    machine.add()
    machine.add()
    with open_nvml() as session:
        yield session
