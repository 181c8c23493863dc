"""When paretune is ended, by whatever death: its changes of power come back, by itself or by the next start."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.tuner.power.lending import StartOwner
from tests.tuner.power.limits_owner import SETTINGS
from tests.tuner.power.scripted import Machine, ScriptedGpu, environment, is_changed
from tuner.power.journal import Entry, Journal
from tuner.power.limits import PowerSettings, limited
from tuner.power.nvml import Nvml, open_nvml
from tuner.power.owner import Owner
from tuner.power.restoring import Outcome, restore_left

ROOT = Path(__file__).parents[3]
MEMORY = Path("/dev/shm")
GONE = Owner(Owner.me().machine, 1, "long ago")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_puts_everything_back(
    start_owner: StartOwner, machine: Machine, journal: Journal, number: signal.Signals
) -> None:
    gpu = machine.add()
    owner = start_owner()
    assert is_changed(gpu) == [True]
    owner.send_signal(number)
    assert owner.wait(20) != 0
    assert is_changed(gpu) == [False]
    assert journal.uuids() == ()


def test_a_signal_in_the_middle_of_putting_back_does_not_cut_it(machine: Machine, nvml: Nvml, journal: Journal) -> None:
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append("handled"))
    unlock = nvml.unlock_clocks

    def interrupted(uuid: str) -> None:
        signal.raise_signal(signal.SIGTERM)
        assert came == []
        unlock(uuid)

    try:
        with pytest.MonkeyPatch.context() as patch, limited(nvml, journal, [machine.gpus[0].uuid], SETTINGS):
            patch.setattr(nvml, "unlock_clocks", interrupted)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == ["handled"]
    assert is_changed(machine.gpus[0]) == [False]


def test_what_a_killed_owner_left_is_put_back_once(start_owner: StartOwner, machine: Machine, journal: Journal) -> None:
    gpu = machine.add()
    owner = start_owner()
    owner.kill()
    owner.wait()
    assert is_changed(gpu) == [True]
    [found] = restore_left(journal)
    assert (found.outcome, found.detail) == (
        Outcome.RESTORED,
        "power limit from 450 W back to 700 W, clocks given back to the driver",
    )
    assert is_changed(gpu) == [False]
    assert restore_left(journal) == []


def test_the_changes_of_a_living_owner_are_left_alone(
    start_owner: StartOwner, machine: Machine, journal: Journal
) -> None:
    gpu = machine.add()
    owner = start_owner()
    [found] = restore_left(journal)
    assert (found.outcome, str(owner.pid) in found.detail) == (Outcome.IN_USE, True)
    assert is_changed(gpu) == [True]


def test_the_next_change_puts_back_what_a_killed_owner_left_and_remembers_the_first_state(
    start_owner: StartOwner, machine: Machine, journal: Journal
) -> None:
    gpu = machine.add()
    owner = start_owner()
    owner.kill()
    owner.wait()
    with open_nvml() as nvml:
        with limited(nvml, journal, [gpu.uuid], PowerSettings(limit_watts=300)):
            assert (gpu.limit_watts, gpu.locked_mhz) == (300, None)
        assert is_changed(gpu) == [False]


def test_a_kill_at_any_line_leaves_nothing_after_the_next_start(nvml_library: Path, machine: Machine) -> None:
    machine.add()
    machine.add(power_limit_mw=650_000)
    # hundreds of kills: in memory, for a kill of the process loses nothing of a disk
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.exists() else None) as folder:
        ran = subprocess.run(
            [sys.executable, "-m", "tests.tuner.power.limits_owner", folder, "kill"],
            cwd=ROOT,
            env=environment(nvml_library, machine),
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["wrong"], told["after"]) == ([], True)
    assert told["lines"] > 300
    assert told["left"]["dirty"] > 100


# ---- what the journal may hold


def entry(gpu: ScriptedGpu, owner: Owner = GONE) -> Entry:
    return Entry(gpu.uuid, "NVIDIA H100", owner, 700.0, unlock_clocks=True)


def test_after_a_reboot_the_same_process_number_does_not_stand_for_the_owner(
    machine: Machine, journal: Journal
) -> None:
    gpu = machine.add(power_limit_mw=450_000)
    me = Owner.me()
    journal.write(entry(gpu, Owner(me.machine, me.pid, "another boot:4711")))
    with journal.lock(gpu.uuid) as kept_by_a_fork:
        assert kept_by_a_fork.take()
        assert [found.outcome for found in restore_left(journal)] == [Outcome.RESTORED]
    assert is_changed(gpu) == [False]


def test_an_owner_in_another_container_lives_as_long_as_its_lock(machine: Machine, journal: Journal) -> None:
    gpu = machine.add(power_limit_mw=450_000)
    journal.write(entry(gpu, Owner("worker-container pid:[4026532]", 1, "boot:1")))
    with journal.lock(gpu.uuid) as lock:
        assert lock.take()
        assert [found.outcome for found in restore_left(journal)] == [Outcome.IN_USE]
    assert [found.outcome for found in restore_left(journal)] == [Outcome.RESTORED]


def test_a_gpu_of_another_machine_is_left_to_it(machine: Machine, journal: Journal) -> None:
    machine.add()
    journal.write(entry(ScriptedGpu(machine.folder, "GPU-elsewhere")))
    assert [found.outcome for found in restore_left(journal)] == [Outcome.ELSEWHERE]
    assert journal.uuids() == ("GPU-elsewhere",)


def test_who_is_not_root_cannot_put_back_and_the_entry_stays(machine: Machine, journal: Journal) -> None:
    gpu = machine.add(power_limit_mw=450_000)
    journal.write(entry(gpu))
    machine.forbid_changes()
    [found] = restore_left(journal)
    assert (found.outcome, "as root" in found.detail) == (Outcome.FAILED, True)
    machine.allow_changes()
    assert [found.outcome for found in restore_left(journal)] == [Outcome.RESTORED]


def test_without_nvml_an_entry_stays(machine: Machine, journal: Journal) -> None:
    gpu = machine.add()
    journal.write(entry(gpu))
    (machine.folder / "fail_nvmlInitWithFlags").write_text("9")
    assert [found.outcome for found in restore_left(journal)] == [Outcome.FAILED]
    assert journal.uuids() == (gpu.uuid,)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"owner": 1, "limit_watts": null, "unlock_clocks": true}'])
def test_a_file_that_is_no_entry_is_told_and_kept(machine: Machine, journal: Journal, content: str) -> None:
    gpu = machine.add()
    journal.folder.mkdir()
    (journal.folder / f"{gpu.uuid}.json").write_text(content)
    [found] = restore_left(journal)
    assert (found.outcome, "remove the file" in found.detail) == (Outcome.FAILED, True)
    assert journal.uuids() == (gpu.uuid,)


def test_an_entry_is_read_as_it_was_written(machine: Machine, journal: Journal) -> None:
    written = entry(machine.add(), Owner.me())
    journal.write(written)
    assert journal.entry(written.uuid) == written
    assert not Owner.me().is_gone()
    assert os.getpid() == written.owner.pid
