"""`paretune power restore`, on the journal of a worker that was killed."""

import json
from pathlib import Path

import pytest

from service.cli.main import run
from tests.tuner.power.scripted import Machine, ScriptedGpu
from tuner.power.journal import Entry, Journal
from tuner.power.owner import Owner

RESTORE = ["power", "restore"]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """The journal in the data folder of the settings."""
    monkeypatch.setenv("PARETUNE_DATA_DIR", str(tmp_path / "data"))
    return Journal(tmp_path / "data" / "power")


@pytest.fixture
def left(machine: Machine, journal: Journal) -> ScriptedGpu:
    """A GPU that a worker which was killed left at 450 W and at 1500 MHz."""
    gpu = machine.add(power_limit_mw=450_000, locked_mhz=1500)
    journal.write(Entry(gpu.uuid, "NVIDIA H100", Owner(Owner.me().machine, 1, "long ago"), 700.0, unlock_clocks=True))
    return gpu


def test_it_says_what_it_put_back_and_then_that_there_is_nothing(
    left: ScriptedGpu, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(RESTORE) == 0
    told = capsys.readouterr().out
    assert told == (
        f"GPU {left.uuid}: restored: power limit from 450 W back to 700 W, clocks given back to the driver\n"
    )
    assert (left.limit_watts, left.locked_mhz) == (700, None)
    assert run(RESTORE) == 0
    assert capsys.readouterr().out == f"nothing to put back: no entry in {journal.folder}\n"


def test_it_tells_programs_the_same(left: ScriptedGpu, journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*RESTORE, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["journal"] == str(journal.folder)
    assert [(gpu["uuid"], gpu["outcome"]) for gpu in told["gpus"]] == [(left.uuid, "restored")]


def test_what_it_cannot_put_back_is_an_error_with_the_mend(
    left: ScriptedGpu, machine: Machine, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.forbid_changes()
    assert run(RESTORE) == 1
    assert f"GPU {left.uuid} is not as it was" in (told := capsys.readouterr().err)
    assert "as root" in told
    assert journal.uuids() == (left.uuid,)
