"""Average board power of a GPU in an engine under steady load, from what its kernels do.

    P = idle + busy share x active + memory watts + arithmetic watts + state watts + block-scaling watts + spinning

Memory watts are proportional to bytes/s. Arithmetic watts go with the square root of the utilisation: tensor cores work
on padded tiles, so at small batches they burn more than the useful operations show. Waiting for the GPU with the most
loaded experts, and an idle host, draw idle power; all-reduce draws little more. The sum bends smoothly into the board
limit. Figures are `modelled`; coefficients were fitted on the ML.ENERGY v3 points of the H100 (`benchmarks/power_model.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.simulator.power.step_time import GpuPeaks, StepTime
from tuner.simulator.power.work import Layout, StepWork

LIMIT_SHARPNESS = 12.0
"""Exponent of the bend into the limit; the H100 points flatten above 95 % of it."""


@dataclass(frozen=True, slots=True)
class PowerCoefficients:
    """Watts of one GPU at full use of each resource; `block_scaling`: FP8 block scales applied in software."""

    active: float
    memory: float
    arithmetic: float
    state: float
    block_scaling: float
    spinning: float


@dataclass(frozen=True, slots=True)
class GpuPower:
    """Power of a GPU type: watts with a model resident and no work, board limits, SM clocks, coefficients, peaks."""

    name: str
    idle_watts: float
    limit_watts: float
    minimum_limit_watts: float
    minimum_clock_mhz: int
    maximum_clock_mhz: int
    coefficients: PowerCoefficients
    peaks: GpuPeaks


@dataclass(frozen=True, slots=True)
class PowerInputs:
    """What one GPU does on average: rates per second and shares of wall time.

    `flops_per_second` is by precision of the weights ("bfloat16", "fp8", ...; attention counts as bfloat16);
    `state_bytes_per_second` is the part of the memory traffic that updates recurrent state. Shares are of wall time:
    `communication_share` in messages, `waiting_share` for the most loaded expert GPU, `idle_share` without any work on
    the GPU. `block_scaled_share`: share of time in experts with FP8 block scales.
    """

    memory_bytes_per_second: float
    flops_per_second: Mapping[str, float]
    state_bytes_per_second: float = 0.0
    communication_share: float = 0.0
    waiting_share: float = 0.0
    idle_share: float = 0.0
    block_scaled_share: float = 0.0

    def __post_init__(self) -> None:
        for name in ("communication_share", "waiting_share", "idle_share", "block_scaled_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a share of time and must lie in 0..1, not {getattr(self, name):g}")
        rates = (self.memory_bytes_per_second, self.state_bytes_per_second, *self.flops_per_second.values())
        if any(rate < 0 for rate in rates):
            raise ValueError("rates of bytes and operations must not be negative")

    @property
    def busy_share(self) -> float:
        """Share of time in kernels that compute."""
        return max(0.0, 1.0 - self.communication_share - self.waiting_share - self.idle_share)


@dataclass(frozen=True, slots=True)
class PowerParts:
    """Watts by cause, before the bend into the limit; they add up to `unbounded`."""

    idle: float
    active: float
    memory: float
    arithmetic: float
    state: float
    block_scaling: float
    spinning: float

    @property
    def unbounded(self) -> float:
        """Sum of all parts."""
        watts = self.idle + self.active + self.memory + self.arithmetic
        return watts + self.state + self.block_scaling + self.spinning


def predict_power_watts_per_gpu(gpu: GpuPower, inputs: PowerInputs) -> float:
    """Average board power of one GPU in watts, between its idle power and its limit."""
    return bend_into_limit(power_parts(gpu, inputs).unbounded, gpu.idle_watts, gpu.limit_watts)


def power_parts(gpu: GpuPower, inputs: PowerInputs) -> PowerParts:
    """Watts by cause, before the bend into the limit."""
    per, peaks = gpu.coefficients, gpu.peaks
    arithmetic = sum(rate / peaks.flops_of(precision) for precision, rate in inputs.flops_per_second.items())
    return PowerParts(
        idle=gpu.idle_watts,
        active=per.active * inputs.busy_share,
        memory=per.memory * inputs.memory_bytes_per_second / peaks.memory_bandwidth,
        arithmetic=per.arithmetic * arithmetic**0.5,
        state=per.state * inputs.state_bytes_per_second / peaks.memory_bandwidth,
        block_scaling=per.block_scaling * inputs.block_scaled_share,
        spinning=per.spinning * inputs.communication_share,
    )


def bend_into_limit(watts: float, idle: float, limit: float) -> float:
    """Smooth minimum of a demand in watts and the limit, measured above idle; never below idle."""
    demand, room = max(watts - idle, 0.0) / (limit - idle), limit - idle
    return idle + room * demand / math.pow(1.0 + math.pow(demand, LIMIT_SHARPNESS), 1.0 / LIMIT_SHARPNESS)


@dataclass(frozen=True, slots=True)
class TimedStep:
    """A kind of engine step: its work, its length in seconds (measured or simulated), and how often it ran.

    `time` divides a step of this kind into parts (modelled); only its communication and waiting are used.
    """

    work: StepWork
    seconds: float
    time: StepTime
    count: float = 1.0


def inputs_from_steps(steps: Sequence[TimedStep], layout: Layout, wall_seconds: float | None = None) -> PowerInputs:
    """Inputs averaged over all steps of a run; `wall_seconds` beyond their sum is time the GPU idles.

    One mean step serves a steady load; a simulator passes its prefill, mixed and decode steps. Averages over time come
    first, watts after: that is how the coefficients were fitted. Raises `ValueError` if the steps take no time.
    """
    busy = sum(step.seconds * step.count for step in steps)
    wall = busy if wall_seconds is None else max(wall_seconds, busy)
    if busy <= 0:
        raise ValueError(f"the steps take {busy:g} s together: give their length in seconds, above 0")
    communication = min(sum(s.count * min(s.time.communication, s.seconds) for s in steps) / wall, 1.0)
    waiting = min(sum(s.count * min(s.time.waiting, s.seconds) for s in steps) / wall, 1.0 - communication)
    idle = min(1.0 - busy / wall, 1.0 - communication - waiting)
    flops: dict[str, float] = {}
    for step in steps:
        for precision, amount in _flops_by_precision(step.work, layout):
            flops[precision] = flops.get(precision, 0.0) + step.count * amount / wall
    block_scaled = layout.precision_of_experts == "fp8_block" and any(step.work.expert_flops > 0 for step in steps)
    return PowerInputs(
        memory_bytes_per_second=sum(s.count * s.work.memory_bytes for s in steps) / wall,
        flops_per_second=flops,
        state_bytes_per_second=sum(s.count * s.work.state_bytes for s in steps) / wall,
        communication_share=communication,
        waiting_share=waiting,
        idle_share=max(idle, 0.0),
        block_scaled_share=max(1.0 - communication - waiting - idle, 0.0) if block_scaled else 0.0,
    )


def _flops_by_precision(work: StepWork, layout: Layout) -> tuple[tuple[str, float], ...]:
    return (
        (layout.weights, work.dense_flops),
        (layout.precision_of_experts, work.expert_flops),
        ("bfloat16", work.attention_flops),
    )
