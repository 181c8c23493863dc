"""Board power: bounded, monotone, an average over time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.simulator.power.decoder import decoder_from_size
from tuner.simulator.power.draw import GpuPower, PowerInputs, TimedStep, inputs_from_steps, predict_power_watts_per_gpu
from tuner.simulator.power.step_time import step_time
from tuner.simulator.power.table import read_power_table
from tuner.simulator.power.work import Layout, steady_load, step_work

TABLE = read_power_table()
H100 = TABLE.gpu("h100_sxm")
GPUS = st.sampled_from(sorted(TABLE.gpus)).map(TABLE.gpu)
SHARE = st.floats(0, 1)


@st.composite
def loads(draw: st.DrawFn) -> tuple[GpuPower, PowerInputs]:
    gpu = draw(GPUS)
    communication = draw(SHARE)
    inputs = PowerInputs(
        memory_bytes_per_second=draw(SHARE) * gpu.peaks.memory_bandwidth,
        flops_per_second={"bfloat16": draw(SHARE) * gpu.peaks.flops["bfloat16"]},
        communication_share=communication,
        waiting_share=draw(st.floats(0, 1)) * (1 - communication),
    )
    return gpu, inputs


def scaled(inputs: PowerInputs, memory: float = 1.0, flops: float = 1.0) -> PowerInputs:
    return PowerInputs(
        inputs.memory_bytes_per_second * memory,
        {name: rate * flops for name, rate in inputs.flops_per_second.items()},
        communication_share=inputs.communication_share,
        waiting_share=inputs.waiting_share,
    )


@given(loads())
def test_power_lies_between_idle_and_limit(load: tuple[GpuPower, PowerInputs]) -> None:
    gpu, inputs = load
    assert gpu.idle_watts <= predict_power_watts_per_gpu(gpu, inputs) <= gpu.limit_watts


@given(loads(), st.floats(1, 3))
def test_more_bytes_or_operations_a_second_never_draw_less(load: tuple[GpuPower, PowerInputs], factor: float) -> None:
    gpu, inputs = load
    watts = predict_power_watts_per_gpu(gpu, inputs)
    assert predict_power_watts_per_gpu(gpu, scaled(inputs, memory=factor)) >= watts - 1e-9
    assert predict_power_watts_per_gpu(gpu, scaled(inputs, flops=factor)) >= watts - 1e-9


def test_an_idle_gpu_draws_idle_power() -> None:
    assert predict_power_watts_per_gpu(H100, PowerInputs(0.0, {}, idle_share=1.0)) == pytest.approx(H100.idle_watts)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="communication_share"):
        PowerInputs(0.0, {}, communication_share=share)


def test_an_unknown_gpu_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="h100_sxm"):
        TABLE.gpu("tpu")


def test_time_beyond_the_steps_is_idle() -> None:
    shape, layout = decoder_from_size(8e9, 8e9), Layout(1)
    load = steady_load(16, 500, 500)
    work = step_work(shape, load, layout)
    time = step_time(work, shape, load, layout, H100.peaks, TABLE.engine)
    step = TimedStep(work, time.seconds, time)
    always = predict_power_watts_per_gpu(H100, inputs_from_steps([step], layout))
    half = inputs_from_steps([step], layout, wall_seconds=2 * time.seconds)
    assert half.idle_share == pytest.approx(0.5)
    assert H100.idle_watts < predict_power_watts_per_gpu(H100, half) < always


def test_ten_equal_steps_draw_what_one_does() -> None:
    shape, layout = decoder_from_size(30e9, 3e9), Layout(2, expert_parallel=True)
    load = steady_load(16, 500, 500)
    work = step_work(shape, load, layout)
    time = step_time(work, shape, load, layout, H100.peaks, TABLE.engine)
    one = inputs_from_steps([TimedStep(work, time.seconds, time)], layout)
    ten = inputs_from_steps([TimedStep(work, time.seconds, time, count=10)], layout)
    watts = predict_power_watts_per_gpu(H100, one)
    assert predict_power_watts_per_gpu(H100, ten) == pytest.approx(watts)
