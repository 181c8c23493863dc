"""Power limits and locked clocks: how they slow an engine and what they save. Everything here is `modelled`.

Time of a step at clock ratio r (SM clock over its maximum): arithmetic goes with 1/r; memory traffic does not, until
the SMs ask for too little (below `MEMORY_KNEE`); messages and the host do not. Voltage falls with the clock down to a
floor, so watts of arithmetic fall faster than the clock. A power limit acts as the highest clock that fits under it.

Sources for the shape: POLCA (Patel et al., ASPLOS 2024, arXiv 2308.12908), which locks clocks and caps power of A100s
serving LLMs: power falls superlinearly with the clock for a small loss of performance, and prompt phases are hit, token
phases hardly; DynamoLLM (Stojkovic et al., arXiv 2408.00741), energy against frequency by batch and length; Ma et al.
(arXiv 2605.11999, H200): caps do not bite in decode, locked clocks save up to 32 % of its energy at minimal loss. The
constants below are ours, chosen to give that shape; measure before you sign a contract on them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tuner.simulator.power.draw import GpuPower, PowerInputs, bend_into_limit, power_parts

MEMORY_KNEE = 0.55
"""Clock ratio below which the SMs can no longer keep the memory busy."""

VOLTAGE_FLOOR = 0.75
"""Lowest voltage over the voltage at the maximum clock."""

VOLTAGE_KNEE = 0.55
"""Clock ratio at which the voltage reaches its floor."""

ACTIVE_CLOCK_SHARE = 0.8
"""Part of the watts of a busy GPU (beside memory) that switches with the SM clock; the rest leaks or belongs to HBM."""


@dataclass(frozen=True, slots=True)
class StepShares:
    """Shares of a step's time that are bound by arithmetic, by memory, and by neither (messages, host, gaps)."""

    compute: float
    memory: float

    def __post_init__(self) -> None:
        if self.compute < 0 or self.memory < 0 or self.compute + self.memory > 1.0 + 1e-9:
            raise ValueError(f"shares {self.compute:g} and {self.memory:g} must be at least 0 and at most 1 together")

    @property
    def other(self) -> float:
        """Share bound by neither."""
        return max(0.0, 1.0 - self.compute - self.memory)


@dataclass(frozen=True, slots=True)
class LimitedStep:
    """An engine under a limit, against the unconstrained one; `slowdown` multiplies TPOT and divides throughput."""

    clock_ratio: float
    clock_mhz: float
    slowdown: float
    power_watts_per_gpu: float
    energy_ratio: float
    """Energy per token over the unconstrained engine's."""


def slowdown(clock_ratio: float, compute_share: float, memory_share: float) -> float:
    """Step time at `clock_ratio` over step time at full clock, from the shares at full clock; at least 1."""
    if not 0.0 < clock_ratio <= 1.0:
        raise ValueError(f"a clock ratio lies above 0 and at most 1, not {clock_ratio:g}")
    shares = StepShares(compute_share, memory_share)
    return shares.compute / clock_ratio + shares.memory * max(1.0, MEMORY_KNEE / clock_ratio) + shares.other


def voltage_ratio(clock_ratio: float) -> float:
    """Voltage over the voltage at full clock: linear above the knee, a floor below it."""
    above = max(0.0, clock_ratio - VOLTAGE_KNEE) / (1.0 - VOLTAGE_KNEE)
    return VOLTAGE_FLOOR + (1.0 - VOLTAGE_FLOOR) * above


def power_at_clock(gpu: GpuPower, inputs: PowerInputs, shares: StepShares, clock_ratio: float) -> float:
    """Watts a GPU at a locked clock; `inputs` are those of the unconstrained engine.

    Watts of memory fall with the rate of steps; those of arithmetic with rate and voltage squared; those of a busy GPU
    with clock and voltage squared.
    """
    slower = slowdown(clock_ratio, shares.compute, shares.memory)
    full = power_parts(gpu, inputs)
    voltage_squared = voltage_ratio(clock_ratio) ** 2
    switching = clock_ratio * voltage_squared
    rest = 1.0 - ACTIVE_CLOCK_SHARE
    scaled = replace(
        full,
        active=full.active * (ACTIVE_CLOCK_SHARE * switching + rest),
        block_scaling=full.block_scaling * (ACTIVE_CLOCK_SHARE * switching + rest),
        spinning=full.spinning * switching,
        memory=full.memory / slower,
        arithmetic=full.arithmetic * voltage_squared / slower,
        state=full.state * voltage_squared / slower,
    )
    return bend_into_limit(scaled.unbounded, gpu.idle_watts, gpu.limit_watts)


def frequency_under_limit(gpu: GpuPower, inputs: PowerInputs, shares: StepShares, limit_watts: float) -> float:
    """Highest clock ratio at which power stays under `limit_watts`; 1 where the limit does not bite.

    The lowest clock where even that draws more (the board then cannot meet the limit). Raises `ValueError` for a limit
    outside what the GPU allows.
    """
    check_power_limit(gpu, limit_watts)
    lowest = gpu.minimum_clock_mhz / gpu.maximum_clock_mhz
    if power_at_clock(gpu, inputs, shares, 1.0) <= limit_watts:
        return 1.0
    if power_at_clock(gpu, inputs, shares, lowest) >= limit_watts:
        return lowest
    below, above = lowest, 1.0
    for _ in range(40):
        middle = 0.5 * (below + above)
        if power_at_clock(gpu, inputs, shares, middle) <= limit_watts:
            below = middle
        else:
            above = middle
    return below


def limited_step(
    gpu: GpuPower,
    inputs: PowerInputs,
    shares: StepShares,
    power_limit_watts: float | None = None,
    gpu_clock_mhz: int | None = None,
) -> LimitedStep:
    """The engine under a power limit, a locked clock, or both. Raises `ValueError` outside what the GPU allows."""
    ratio = 1.0
    if gpu_clock_mhz is not None:
        check_clock(gpu, gpu_clock_mhz)
        ratio = gpu_clock_mhz / gpu.maximum_clock_mhz
    if power_limit_watts is not None:
        ratio = min(ratio, frequency_under_limit(gpu, inputs, shares, power_limit_watts))
    watts = power_at_clock(gpu, inputs, shares, ratio)
    slower = slowdown(ratio, shares.compute, shares.memory)
    unconstrained = power_at_clock(gpu, inputs, shares, 1.0)
    return LimitedStep(ratio, ratio * gpu.maximum_clock_mhz, slower, watts, watts * slower / unconstrained)


def check_power_limit(gpu: GpuPower, limit_watts: float) -> None:
    """Raises `ValueError` naming the permitted range when the board does not take this limit."""
    if not gpu.minimum_limit_watts <= limit_watts <= gpu.limit_watts:
        raise ValueError(
            f"power_limit_watts {limit_watts:g} is outside what {gpu.name} allows: "
            f"{gpu.minimum_limit_watts:g} to {gpu.limit_watts:g} W"
        )


def check_clock(gpu: GpuPower, clock_mhz: float) -> None:
    """Raises `ValueError` naming the permitted range when the GPU does not take this SM clock."""
    if not gpu.minimum_clock_mhz <= clock_mhz <= gpu.maximum_clock_mhz:
        raise ValueError(
            f"gpu_clock_mhz {clock_mhz:g} is outside what {gpu.name} allows: "
            f"{gpu.minimum_clock_mhz} to {gpu.maximum_clock_mhz} MHz"
        )
