"""Machines with GPUs that are scripted, behind the real pynvml."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tuner.power.lending import MakePool, StartOwner
from tests.tuner.power.scripted import Machine, environment
from tuner.power.journal import Journal
from tuner.power.nvml import Nvml, open_nvml
from tuner.power.pool import GpuPool

ROOT = Path(__file__).parents[3]


@pytest.fixture
def nvml(machine: Machine) -> Iterator[Nvml]:
    """A session on a machine with two GPUs."""
    machine.add()
    machine.add()
    with open_nvml() as session:
        yield session


@pytest.fixture
def make_pool(machine: Machine, tmp_path: Path) -> Iterator[MakePool]:
    """Opens the machine's pool; memory that is not free after `settle_seconds` counts as another's."""
    with contextlib.ExitStack() as sessions:

        def make(settle_seconds: float = 0.0, **variables: str) -> GpuPool:
            nvml = sessions.enter_context(open_nvml())
            xids = sessions.enter_context(nvml.listening())
            return GpuPool(nvml, tmp_path / "gpus", variables, xids, settle_seconds)

        yield make


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """An empty journal."""
    return Journal(tmp_path / "power")


@pytest.fixture
def start_owner(nvml_library: Path, machine: Machine, journal: Journal) -> Iterator[StartOwner]:
    """Starts a process that has changed every GPU of the machine, and holds it."""
    owners: list[subprocess.Popen[str]] = []

    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.tuner.power.limits_owner", str(journal.folder), "hold"]
        variables = environment(nvml_library, machine)
        owner = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)
        owners.append(owner)
        assert owner.stdout is not None
        assert owner.stdout.readline().strip() == "changed"
        return owner

    yield start
    for owner in owners:
        owner.kill()
        owner.wait()
        if owner.stdout is not None:
            owner.stdout.close()
