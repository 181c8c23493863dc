"""Power limits and clocks: legal, never faster, never hotter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.simulator.power.draw import GpuPower, PowerInputs
from tuner.simulator.power.limits import StepShares, frequency_under_limit, limited_step, power_at_clock, slowdown
from tuner.simulator.power.table import read_power_table

TABLE = read_power_table()
H100 = TABLE.gpu("h100_sxm")
GPUS = st.sampled_from(sorted(TABLE.gpus)).map(TABLE.gpu)
SHARE = st.floats(0, 1)


@st.composite
def loads(draw: st.DrawFn) -> tuple[GpuPower, PowerInputs, StepShares]:
    gpu = draw(GPUS)
    communication = draw(SHARE)
    compute = draw(SHARE)
    inputs = PowerInputs(
        memory_bytes_per_second=draw(SHARE) * gpu.peaks.memory_bandwidth,
        flops_per_second={"bfloat16": draw(SHARE) * gpu.peaks.flops["bfloat16"]},
        communication_share=communication,
        waiting_share=draw(st.floats(0, 1)) * (1 - communication),
    )
    return gpu, inputs, StepShares(compute, draw(SHARE) * (1 - compute))


@given(loads(), st.floats(0.1, 1), st.floats(0.1, 1))
def test_a_lower_clock_is_never_faster_nor_hotter(
    load: tuple[GpuPower, PowerInputs, StepShares], one: float, other: float
) -> None:
    gpu, inputs, shares = load
    low, high = sorted((one, other))
    assert slowdown(low, shares.compute, shares.memory) >= slowdown(high, shares.compute, shares.memory) - 1e-12
    assert power_at_clock(gpu, inputs, shares, low) <= power_at_clock(gpu, inputs, shares, high) + 1e-6


@given(loads(), SHARE)
def test_power_under_a_limit_meets_it_where_the_clock_range_allows(
    load: tuple[GpuPower, PowerInputs, StepShares], where: float
) -> None:
    gpu, inputs, shares = load
    limit = gpu.minimum_limit_watts + where * (gpu.limit_watts - gpu.minimum_limit_watts)
    ratio = frequency_under_limit(gpu, inputs, shares, limit)
    lowest = gpu.minimum_clock_mhz / gpu.maximum_clock_mhz
    assert ratio == lowest or power_at_clock(gpu, inputs, shares, ratio) <= limit + 1e-6


def test_a_limit_slows_prefill_more_than_decode() -> None:
    busy = PowerInputs(0.3 * H100.peaks.memory_bandwidth, {"bfloat16": 0.5 * H100.peaks.flops["bfloat16"]})
    prefill = limited_step(H100, busy, StepShares(compute=0.9, memory=0.05), power_limit_watts=500)
    decode = limited_step(H100, busy, StepShares(compute=0.1, memory=0.7), power_limit_watts=500)
    assert prefill.slowdown > 1.1 > decode.slowdown


def test_a_locked_clock_saves_energy_of_decode() -> None:
    decode = PowerInputs(0.6 * H100.peaks.memory_bandwidth, {"bfloat16": 0.01 * H100.peaks.flops["bfloat16"]})
    step = limited_step(H100, decode, StepShares(compute=0.05, memory=0.75), gpu_clock_mhz=1400)
    assert step.energy_ratio < 0.95
    assert step.slowdown < 1.05


@pytest.mark.parametrize(
    ("knob", "value", "permitted"),
    [("power_limit_watts", 100, "200 to 700 W"), ("gpu_clock_mhz", 2500, "345 to 1980 MHz")],
)
def test_a_limit_outside_what_the_gpu_allows_names_the_range(knob: str, value: int, permitted: str) -> None:
    with pytest.raises(ValueError, match=permitted):
        limited_step(H100, PowerInputs(0.0, {}), StepShares(0.5, 0.5), **{knob: value})
