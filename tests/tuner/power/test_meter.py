"""The meter: energy against its known truth, and what is said about how well it is known."""

import time
from collections.abc import Mapping

import pytest

from tests.tuner.power.scripted import Machine
from tuner.power.energy import Condition, Method
from tuner.power.errors import EnergyUnavailableError
from tuner.power.gpu_energy import GpuEnergy
from tuner.power.meter import Meter
from tuner.power.nvml import Nvml


def marked(meter: Meter) -> tuple[float, float | None]:
    """A moment and what the meter reads then, as the load client takes them; anew where the machine was busy meanwhile."""
    while True:
        before = time.monotonic()
        joules = meter.read()
        after = time.monotonic()
        if after - before < 0.005:
            return (before + after) / 2, joules


def grown(start: float | None, end: float | None) -> float:
    assert start is not None
    assert end is not None
    return end - start


def test_energy_of_a_window_is_within_one_percent_of_the_truth(machine: Machine, nvml: Nvml) -> None:
    one, two = machine.gpus
    with Meter(GpuEnergy(nvml, [one.uuid, two.uuid])) as meter:
        idle = meter.measure_idle(0.4)
        curves = [one.draw(500, 150, period=0.7), two.draw(350, 50, period=1.1)]
        start, first = marked(meter)
        time.sleep(3.0)
        end, last = marked(meter)
        joules = grown(first, last)
        report = meter.report(start, end, joules)
    truth = sum(curve.joules_between(start, end) for curve in curves)
    assert joules == pytest.approx(truth, rel=0.01)
    assert report.method is Method.COUNTER
    assert report.error_bound is not None
    assert abs(joules - truth) / truth <= report.error_bound
    assert report.average_watts == pytest.approx(850, rel=0.05)
    assert report.peak_watts == pytest.approx(1050, rel=0.05)
    assert report.devices[one.uuid].average_watts == pytest.approx(500, rel=0.15)
    assert idle.total_watts == pytest.approx(200, rel=0.05)
    assert report.idle_watts == idle.total_watts
    assert report.devices[two.uuid].idle_watts == pytest.approx(100, rel=0.05)


def test_the_counters_step_is_seen_and_bounds_the_error(machine: Machine, nvml: Nvml) -> None:
    gpu = machine.gpus[0]
    gpu.set(tick_ms=100)
    with Meter(GpuEnergy(nvml, [gpu.uuid])) as meter:
        idle = meter.measure_idle(0.5)
        start, first = marked(meter)
        time.sleep(0.5)
        end, last = marked(meter)
        report = meter.report(start, end, grown(first, last))
    assert idle.tick_seconds is not None
    assert idle.tick_seconds >= 0.09
    assert report.error_bound is not None
    assert report.error_bound > 0.1
    assert report.seconds_needed is not None
    assert report.seconds_needed == pytest.approx(report.seconds * report.error_bound / 0.01)


def test_a_window_that_is_long_enough_asks_for_no_more(nvml: Nvml) -> None:
    with Meter(GpuEnergy(nvml, [nvml.gpus[0].uuid])) as meter:
        report = meter.report(0.0, 60.0, 6000.0)
    assert report.error_bound == pytest.approx(0.1 / 60)
    assert report.seconds_needed is None


def test_conditions_in_the_window_are_told(machine: Machine, nvml: Nvml) -> None:
    gpu = machine.gpus[0]
    gpu.set(sm_mhz=1500, celsius=64, throttle=0x4)
    with Meter(GpuEnergy(nvml, [gpu.uuid]), period_seconds=0.01) as meter:
        start = time.monotonic()
        time.sleep(0.3)
        middle = time.monotonic()
        gpu.set(sm_mhz=300, celsius=90, throttle=0x40)
        time.sleep(0.1)
        device = meter.report(start, middle, 30.0).devices[gpu.uuid]
    assert (device.sm_clock_mhz, device.memory_clock_mhz, device.temperature_celsius) == (1500, 2619, 64)
    assert device.throttled == {"power_cap": 1.0}


def test_a_gpu_without_counter_is_sampled_and_marked_so(machine: Machine, nvml: Nvml) -> None:
    gpu = machine.gpus[0]
    gpu.fail("nvmlDeviceGetTotalEnergyConsumption", 3)
    with Meter(GpuEnergy(nvml, [gpu.uuid]), period_seconds=0.02) as meter:
        curve = gpu.draw(400, 100, period=2.0)
        start, first = marked(meter)
        time.sleep(1.0)
        end, last = marked(meter)
        joules = grown(first, last)
        report = meter.report(start, end, joules)
    assert report.method is Method.SAMPLES
    assert report.error_bound is None
    assert joules == pytest.approx(curve.joules_between(start, end), rel=0.05)


def test_a_gpu_that_tells_neither_energy_nor_power_cannot_be_measured(machine: Machine, nvml: Nvml) -> None:
    gpu = machine.gpus[0]
    for function in ("nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetFieldValues", "nvmlDeviceGetPowerUsage"):
        gpu.fail(function, 3)
    with pytest.raises(EnergyUnavailableError, match="leave the objective `energy` out"):
        GpuEnergy(nvml, [gpu.uuid])


def test_energy_of_a_gpu_that_falls_off_the_bus_is_unknown_not_zero(machine: Machine, nvml: Nvml) -> None:
    gpu = machine.gpus[0]
    with Meter(GpuEnergy(nvml, [gpu.uuid])) as meter:
        assert meter.read() is not None
        gpu.set(lost=1)
        assert meter.read() is None
        report = meter.report(0.0, 1.0, None)
    assert (report.joules, report.average_watts, report.error_bound) == (None, None, None)
    assert "does not answer any more" in str(report.problem)


class Host:
    """A host of 50 W."""

    method = Method.COUNTER
    tick_seconds = 0.001

    def joules(self) -> Mapping[str, float]:
        return {"package-0": 50 * time.monotonic()}

    def conditions(self) -> Mapping[str, Condition]:
        return {name: Condition(joules=joules) for name, joules in self.joules().items()}


def test_the_hosts_share_stands_beside_the_gpus(nvml: Nvml) -> None:
    with Meter(GpuEnergy(nvml, [nvml.gpus[0].uuid]), Host(), period_seconds=0.02) as meter:
        start, first = marked(meter)
        time.sleep(0.5)
        end, last = marked(meter)
        report = meter.report(start, end, grown(first, last))
    assert report.host_watts == pytest.approx(50, rel=0.05)
    assert report.host_joules == pytest.approx(50 * report.seconds, rel=0.05)


def test_a_source_that_tells_energy_alone_has_its_peak_from_it() -> None:
    with Meter(Host(), period_seconds=0.02) as meter:
        start, first = marked(meter)
        time.sleep(0.3)
        end, last = marked(meter)
        report = meter.report(start, end, grown(first, last))
    assert report.average_watts == pytest.approx(50, rel=0.01)
    assert report.peak_watts is not None
    assert 45 < report.peak_watts < 100
