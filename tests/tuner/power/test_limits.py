"""Power as a knob: what was set before comes back, by whatever way the change ends."""

import contextlib
import threading
from pathlib import Path

import pytest

from tests.tuner.power.limits_owner import SETTINGS
from tests.tuner.power.scripted import Machine, is_changed
from tuner.power.errors import (
    JournalError,
    PermissionDeniedError,
    PowerError,
    PowerInUseError,
    PowerRefusedError,
)
from tuner.power.journal import Journal
from tuner.power.limits import PowerSettings, limited, may_control
from tuner.power.nvml import Nvml
from tuner.power.restoring import Outcome, restore_left

ROOT = Path(__file__).parents[3]


def test_settings_hold_as_long_as_the_block_lasts(machine: Machine, nvml: Nvml, journal: Journal) -> None:
    one, two = machine.gpus
    two.set(power_limit_mw=650_000)
    with limited(nvml, journal, [one.uuid, two.uuid], SETTINGS):
        assert [(gpu.limit_watts, gpu.locked_mhz) for gpu in (one, two)] == [(450, 1500), (450, 1500)]
        assert journal.uuids() == (one.uuid, two.uuid)
    assert [(gpu.limit_watts, gpu.locked_mhz) for gpu in (one, two)] == [(700, None), (650, None)]
    assert journal.uuids() == ()


@pytest.mark.parametrize("settings", [PowerSettings(limit_watts=300), PowerSettings(clock_mhz=1200)])
def test_what_is_not_asked_for_is_not_touched(
    machine: Machine, nvml: Nvml, journal: Journal, settings: PowerSettings
) -> None:
    gpu = machine.gpus[0]
    untouched = (
        "nvmlDeviceSetGpuLockedClocks" if settings.limit_watts else "nvmlDeviceGetPowerManagementLimitConstraints"
    )
    gpu.fail(untouched, 999)
    with limited(nvml, journal, [gpu.uuid], settings):
        assert (gpu.limit_watts, gpu.locked_mhz) == (settings.limit_watts or 700, settings.clock_mhz)
    assert is_changed(gpu) == [False]


def test_without_settings_nothing_is_asked_of_the_gpu(machine: Machine, nvml: Nvml, journal: Journal) -> None:
    machine.forbid_changes()
    with limited(nvml, journal, [machine.gpus[0].uuid], PowerSettings()):
        assert not journal.folder.exists()


def test_an_exception_puts_everything_back(machine: Machine, nvml: Nvml, journal: Journal) -> None:
    gpu = machine.gpus[0]
    with contextlib.suppress(ZeroDivisionError), limited(nvml, journal, [gpu.uuid], SETTINGS):
        raise ZeroDivisionError
    assert is_changed(gpu) == [False]


def test_a_gpu_that_cannot_be_set_leaves_none_set(machine: Machine, nvml: Nvml, journal: Journal) -> None:
    one, two = machine.gpus
    two.fail("nvmlDeviceSetGpuLockedClocks", 999)
    with pytest.raises(PowerError, match="failed at nvmlDeviceSetGpuLockedClocks"), _changed_all(nvml, journal):
        pass
    assert is_changed(one, two) == [False, False]
    assert journal.uuids() == ()


def test_a_limit_that_the_gpu_does_not_keep_is_refused_and_put_back(
    machine: Machine, nvml: Nvml, journal: Journal
) -> None:
    gpu = machine.gpus[0]
    gpu.set(floor_mw=500_000)
    with (
        pytest.raises(PowerRefusedError, match="took a power limit of 500 W for 450 W"),
        limited(nvml, journal, [gpu.uuid], SETTINGS),
    ):
        pass
    assert is_changed(gpu) == [False]
    assert journal.uuids() == ()


def test_what_is_not_kept_when_it_is_put_back_stays_in_the_journal(
    machine: Machine, nvml: Nvml, journal: Journal
) -> None:
    gpu = machine.gpus[0]
    gpu.set(power_limit_mw=400_000)
    with (
        pytest.raises(JournalError, match="took a power limit of 500 W for 400 W"),
        limited(nvml, journal, [gpu.uuid], SETTINGS),
    ):
        gpu.set(floor_mw=500_000)
    assert journal.uuids() == (gpu.uuid,)
    gpu.clear("floor_mw")
    assert [found.outcome for found in restore_left(journal)] == [Outcome.RESTORED]
    assert gpu.limit_watts == 400


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PowerSettings(limit_watts=100), "power_limit_watts 100 is outside what GPU 0 .* takes: 200 to 700 W"),
        (PowerSettings(limit_watts=701), "200 to 700 W"),
        (PowerSettings(clock_mhz=1501), "gpu_clock_mhz 1501 is none .* 315 to 1980 MHz, the nearest 1500"),
    ],
)
def test_what_a_gpu_cannot_take_is_refused_before_any_change(
    machine: Machine, nvml: Nvml, journal: Journal, settings: PowerSettings, message: str
) -> None:
    with pytest.raises(PowerRefusedError, match=message), limited(nvml, journal, [machine.gpus[0].uuid], settings):
        pass
    assert not journal.folder.exists()


def test_who_is_not_root_is_told_before_any_change(machine: Machine, nvml: Nvml, journal: Journal) -> None:
    machine.forbid_changes()
    assert not may_control(nvml, machine.gpus[0].uuid)
    with pytest.raises(PermissionDeniedError, match="run paretune's worker as root"), _changed_all(nvml, journal):
        pass
    assert not journal.folder.exists()


def test_a_journal_that_cannot_be_written_stops_the_change(machine: Machine, nvml: Nvml, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="set PARETUNE_DATA_DIR"), _changed_all(nvml, Journal(tmp_path / "file")):
        pass
    assert is_changed(*machine.gpus) == [False, False]


def test_two_cannot_control_one_gpu(nvml: Nvml, journal: Journal) -> None:
    with _changed_all(nvml, journal), pytest.raises(PowerInUseError, match="wait for it"), _changed_all(nvml, journal):
        pass


def test_a_gpu_that_is_lost_meanwhile_is_told_and_stays_in_the_journal(
    machine: Machine, nvml: Nvml, journal: Journal
) -> None:
    one, two = machine.gpus
    with pytest.raises(JournalError, match="`paretune power restore` tries again"), _changed_all(nvml, journal):
        one.set(lost=1)
    assert is_changed(two) == [False]
    assert journal.uuids() == (one.uuid,)
    one.set(lost=0)
    assert [found.outcome for found in restore_left(journal)] == [Outcome.RESTORED]
    assert is_changed(one) == [False]


def test_a_thread_may_change_too(machine: Machine, nvml: Nvml, journal: Journal) -> None:
    seen = []

    def work() -> None:
        with _changed_all(nvml, journal):
            seen.append(is_changed(*machine.gpus))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[True, True]]
    assert is_changed(*machine.gpus) == [False, False]


def _changed_all(nvml: Nvml, journal: Journal) -> contextlib.AbstractContextManager[None]:
    return limited(nvml, journal, [gpu.uuid for gpu in nvml.gpus], SETTINGS)
