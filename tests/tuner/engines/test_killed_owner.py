"""When paretune itself is killed: its engines end by their keeper, or by the next start's sweep."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tuner.engines.conftest import eventually, processes_with
from tuner.engines.members import members
from tuner.engines.records import Ledger, Record
from tuner.engines.sweeper import sweep
from tuner.identity import identity_of

ROOT = Path(__file__).parents[3]

StartOwner = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_owner(ledger: Ledger, tmp_path: Path, mark: str) -> Iterator[StartOwner]:
    """Starts an owner and waits until it has come to a stage."""
    owners: list[subprocess.Popen[str]] = []

    def start(stage: str, *flags: str) -> "subprocess.Popen[str]":
        words = [str(ledger.folder), str(tmp_path / "trial"), str(tmp_path / "temporary"), stage, *flags]
        command = [sys.executable, "-m", "tests.tuner.engines.owner", *words]
        owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        owners.append(owner)
        assert owner.stdout is not None
        assert owner.stdout.readline().strip() == stage
        return owner

    yield start
    for owner in owners:
        owner.kill()
        owner.wait()
        if owner.stdout is not None:
            owner.stdout.close()
    assert eventually(lambda: processes_with(mark) == [], 10.0)


def kill(owner: "subprocess.Popen[str]") -> None:
    owner.kill()
    owner.wait()


@pytest.mark.parametrize("stage", ["starting", "ready"])
@pytest.mark.parametrize("flags", [(), ("--ignore-term", "--leave-child")])
def test_the_keeper_ends_the_engine_of_a_killed_owner(
    start_owner: StartOwner, ledger: Ledger, mark: str, stage: str, flags: tuple[str, ...]
) -> None:
    owner = start_owner(stage, *flags)
    assert len(processes_with(mark)) > 1
    kill(owner)
    assert eventually(lambda: processes_with(mark) == [], 10.0)
    assert len(ledger.records()) == 1


def test_the_next_start_ends_what_a_killed_owner_and_keeper_left(
    start_owner: StartOwner, ledger: Ledger, mark: str, tmp_path: Path
) -> None:
    owner = start_owner("ready", "--leave-child")
    [record] = ledger.records()
    assert record.keeper is not None
    os.kill(record.keeper.pid, 9)
    kill(owner)
    left = [process.pid for process in members(record.run, record.keeper)]
    assert left, "the child that left the session outlives its keeper"
    [swept] = sweep(ledger, grace_seconds=0.5)
    assert (swept.record, swept.stuck) == (record, ())
    assert swept.found >= len(left)
    assert processes_with(mark) == []
    assert not (tmp_path / "temporary").exists()
    assert ledger.records() == []


def test_an_owner_killed_between_record_and_start_leaves_nothing_after_the_sweep(
    start_owner: StartOwner, ledger: Ledger, tmp_path: Path
) -> None:
    kill(start_owner("recorded"))
    assert (tmp_path / "temporary").exists()
    [swept] = sweep(ledger)
    assert swept.found == 0
    assert not (tmp_path / "temporary").exists()
    assert list(ledger.folder.iterdir()) == []


def test_the_sweep_leaves_the_runs_of_a_living_owner_alone(
    start_owner: StartOwner, ledger: Ledger, mark: str, tmp_path: Path
) -> None:
    start_owner("ready")
    before = {process.pid for process in processes_with(mark)}
    assert sweep(ledger) == []
    assert {process.pid for process in processes_with(mark)} == before
    assert (tmp_path / "temporary").exists()
    assert len(ledger.records()) == 1


def test_the_sweep_leaves_the_runs_of_other_machines_alone(ledger: Ledger) -> None:
    here = Record.new("command", 20_000)
    gone = identity_of(os.getppid())
    assert gone is not None
    elsewhere = Record(here.run, "another machine", type(gone)(gone.pid, "long ago"), "command", 20_000)
    ledger.write(elsewhere)
    assert sweep(ledger) == []
    assert ledger.records() == [elsewhere]


def test_a_process_that_got_the_number_of_a_dead_keeper_is_left_alone(ledger: Ledger) -> None:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]) as bystander:
        me, other = identity_of(os.getpid()), identity_of(bystander.pid)
        assert me is not None
        assert other is not None
        stale = type(me)
        record = Record.new("command", 20_000)
        record = Record(
            record.run, record.machine, stale(me.pid, "earlier"), "command", 20_000, (), stale(other.pid, "earlier")
        )
        ledger.write(record)
        [swept] = sweep(ledger)
        assert swept.found == 0
        assert bystander.poll() is None
        bystander.kill()


def test_a_stopped_owner_by_signal_ends_its_engine(start_owner: StartOwner, mark: str) -> None:
    owner = start_owner("ready")
    owner.terminate()
    owner.wait()
    assert eventually(lambda: processes_with(mark) == [], 10.0)
