"""How long a window must be for the counter's steps, and what a load on a lost GPU comes to."""

from dataclasses import replace

import pytest

from tests.tuner.evaluators.gpu_jobs import ROW, job
from tests.tuner.power.scripted import Machine
from tuner.evaluators.energy import Energy, failure_of
from tuner.evaluators.figures import plan_of
from tuner.power.energy import Idle
from tuner.power.gpu_energy import GpuEnergy
from tuner.power.meter import Meter
from tuner.power.nvml import open_nvml
from tuner.trial import FailureKind


@pytest.mark.parametrize(("seen", "seconds"), [(None, 15), (0.02, 3), (0.1, 15), (0.2, 30)])
def test_a_window_is_as_long_as_the_steps_of_the_counter_need(
    machine: Machine, seen: float | None, seconds: float
) -> None:
    gpu = machine.add()
    with open_nvml() as nvml:
        energy = Energy(GpuEnergy(nvml, [gpu.uuid]), None, Idle({gpu.uuid: 100.0}, 2.0, seen))
        assert energy.shortest_window_seconds == pytest.approx(seconds)
        assert plan_of(job(), ROW, energy.shortest_window_seconds).window_seconds == pytest.approx(max(seconds, 5))


def test_figures_are_per_gpu_of_one_replica() -> None:
    assert plan_of(job(), replace(ROW, tensor_parallel=2, replicas=2)).gpus == 2


def test_a_gpu_that_does_not_answer_is_a_failure_and_one_that_does_is_none(machine: Machine) -> None:
    gpu = machine.add()
    with open_nvml() as nvml:
        meter = Meter(GpuEnergy(nvml, [gpu.uuid]))
        meter.read()
        assert failure_of(meter) is None
        gpu.set(lost=1)
        meter.read()
    failure = failure_of(meter)
    assert failure is not None
    assert failure.kind is FailureKind.LOST
    assert failure_of(None) is None
