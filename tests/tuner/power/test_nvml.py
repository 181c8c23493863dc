"""The door to NVML: the real pynvml against a scripted library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tuner.power.scripted import FOLDER_VARIABLE, Machine, environment
from tuner.power.errors import (
    GpuLostError,
    NotSupportedError,
    NvmlError,
    NvmlMissingError,
    PermissionDeniedError,
)
from tuner.power.facts import Clocks, GpuProcess, PowerBounds, ThrottleReason
from tuner.power.nvml import Nvml, open_nvml

ROOT = Path(__file__).parents[3]
LIST_GPUS = "from tuner.power.nvml import open_nvml\nwith open_nvml() as nvml: print([gpu.uuid for gpu in nvml.gpus])"


def test_a_machine_without_a_driver_says_what_is_missing() -> None:
    without = {key: value for key, value in os.environ.items() if key not in {FOLDER_VARIABLE, "LD_LIBRARY_PATH"}}
    ran = subprocess.run(
        [sys.executable, "-c", LIST_GPUS], cwd=ROOT, env=without, capture_output=True, text=True, check=False
    )
    assert "NvmlMissingError: NVML is missing here; install the NVIDIA driver" in ran.stderr


def test_another_process_finds_the_library_as_it_finds_the_drivers(nvml_library: Path, machine: Machine) -> None:
    gpu = machine.add()
    ran = subprocess.run(
        [sys.executable, "-c", LIST_GPUS],
        cwd=ROOT,
        env=environment(nvml_library, machine),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == str([gpu.uuid])


def test_a_session_lists_gpus_in_the_drivers_order(machine: Machine) -> None:
    machine.add(name="NVIDIA H100 80GB HBM3")
    machine.add(name="NVIDIA L40S", memory_total_mib=46068)
    with open_nvml() as nvml:
        assert [(gpu.index, gpu.name) for gpu in nvml.gpus] == [(0, "NVIDIA H100 80GB HBM3"), (1, "NVIDIA L40S")]
        assert nvml.gpus[1].memory_total_bytes == 46068 * 2**20
        assert nvml.driver_version == "580.95.05"


def test_a_gpu_that_was_lost_before_keeps_its_place_and_says_so(machine: Machine) -> None:
    machine.add(lost=1)
    well = machine.add()
    with open_nvml() as nvml:
        assert [gpu.uuid for gpu in nvml.gpus] == [well.uuid]
        assert nvml.slots[0].gpu is None
        assert "GPU 0 does not answer any more" in str(nvml.slots[0].problem)


def test_a_gpu_that_falls_off_the_bus_is_an_error_with_the_mend(machine: Machine, nvml: Nvml) -> None:
    gpu = machine.gpus[0]
    gpu.set(lost=1)
    with pytest.raises(GpuLostError, match="reset it with `nvidia-smi --gpu-reset`"):
        nvml.energy_joules(gpu.uuid)


def test_an_unknown_gpu_is_an_error(nvml: Nvml) -> None:
    with pytest.raises(NvmlError, match="no GPU GPU-unknown here"):
        nvml.memory("GPU-unknown")


def test_figures_come_in_si_units(machine: Machine, nvml: Nvml) -> None:
    gpu = machine.gpus[0]
    gpu.set(memory_used_mib=1000, processes="4242 1048576", throttle=0x4 | 0x40, celsius=71, sm_mhz=1755)
    gpu.draw(321)
    assert nvml.memory(gpu.uuid).used_bytes == 1000 * 2**20
    assert nvml.processes(gpu.uuid) == (GpuProcess(4242, 2**20),)
    assert nvml.throttle_reasons(gpu.uuid) == {ThrottleReason.POWER_CAP, ThrottleReason.HARDWARE_THERMAL}
    assert nvml.temperature_celsius(gpu.uuid) == 71
    assert nvml.clocks(gpu.uuid) == Clocks(1755, 2619)
    assert nvml.power_watts(gpu.uuid) == pytest.approx(321)
    assert nvml.power_bounds(gpu.uuid) == PowerBounds(200, 700, 700, 700)
    assert nvml.graphics_clocks_mhz(gpu.uuid)[-2:] == (1965, 1980)


def test_what_a_gpu_does_not_have_is_unknown_not_zero(machine: Machine, nvml: Nvml) -> None:
    gpu = machine.gpus[0]
    gpu.fail("nvmlDeviceGetTotalEnergyConsumption", 3)
    gpu.fail("nvmlDeviceGetTemperature", 3)
    assert nvml.energy_joules(gpu.uuid) is None
    assert nvml.temperature_celsius(gpu.uuid) is None


def test_an_older_driver_gives_mean_power_for_that_of_the_moment(machine: Machine, nvml: Nvml) -> None:
    gpu = machine.gpus[0]
    gpu.set(fail_power_instant=3)
    gpu.draw(250)
    assert nvml.power_watts(gpu.uuid) == pytest.approx(250)


def test_a_limit_sticks_for_every_process(machine: Machine, nvml: Nvml) -> None:
    gpu = machine.gpus[0]
    nvml.set_power_limit(gpu.uuid, 450.0)
    nvml.lock_clocks(gpu.uuid, 1500)
    assert (gpu.limit_watts, gpu.locked_mhz) == (450.0, 1500)
    assert nvml.power_limit_watts(gpu.uuid) == 450.0
    nvml.unlock_clocks(gpu.uuid)
    assert gpu.locked_mhz is None


def test_changes_are_for_root_alone(machine: Machine, nvml: Nvml) -> None:
    machine.forbid_changes()
    with pytest.raises(PermissionDeniedError, match="run paretune's worker as root"):
        nvml.set_power_limit(machine.gpus[0].uuid, 450.0)


def test_a_gpu_without_limits_says_so(machine: Machine, nvml: Nvml) -> None:
    machine.gpus[0].fail("nvmlDeviceGetPowerManagementLimitConstraints", 3)
    with pytest.raises(NotSupportedError, match="does not support"):
        nvml.power_bounds(machine.gpus[0].uuid)


def test_nvlink_is_nearer_than_a_switch_and_a_socket_is_farthest(machine: Machine) -> None:
    one, two, three, four = (machine.add(node=number // 3) for number in range(4))
    machine.link((0, 1))
    with open_nvml() as nvml:
        assert nvml.distance(one.uuid, two.uuid) == 0
        assert nvml.distance(one.uuid, three.uuid) == 30
        assert nvml.distance(one.uuid, four.uuid) == 50


def test_critical_errors_are_told_once(machine: Machine, nvml: Nvml) -> None:
    with nvml.listening() as errors:
        assert errors() == ()
        machine.gpus[1].set(xid=79)
        assert errors() == ((machine.gpus[1].uuid, 79),)
        assert errors() == ()


@pytest.mark.parametrize(("code", "error"), [(9, NvmlMissingError), (18, NvmlError), (999, NvmlError)])
def test_a_driver_that_does_not_start_is_an_error_with_the_mend(
    machine: Machine, code: int, error: type[Exception]
) -> None:
    (machine.folder / "fail_nvmlInitWithFlags").write_text(str(code))
    with pytest.raises(error, match=r"install|restart|nvidia-smi"), open_nvml():
        pass
