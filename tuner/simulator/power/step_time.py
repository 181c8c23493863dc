"""How long an engine step takes when no kernel data of the model are at hand: a roofline with fitted efficiencies.

Used for `bench fidelity` on power tables whose models the kernel data do not hold; where the simulator knows a step's
time, that is the better figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tuner.simulator.power.decoder import Decoder
from tuner.simulator.power.work import Layout, Load, StepWork, step_work

REFERENCE_BANDWIDTH = 3.35e12
"""Bytes/s of the H100 SXM, on which the efficiencies were fitted."""

DEVICE_OVERHEAD_EXPONENT = 0.35
"""Gaps between kernels shrink with faster memory, less than in proportion. Speed of B200 over H100 at batch 8, this
model / vLLM kernel data of aiconfigurator-core 0.12.0 plus 1 ms of host: Qwen3-30B-A3B 1.84 / 1.81, gpt-oss-120b
1.74 / 1.61, Qwen3-235B-A22B 1.61 / 1.62."""


@dataclass(frozen=True, slots=True)
class GpuPeaks:
    """Peaks of a GPU: bytes/s of memory, dense FLOP/s by precision, bytes/s of a link in one direction."""

    memory_bandwidth: float
    flops: Mapping[str, float]
    link_bandwidth: float

    def flops_of(self, precision: str) -> float:
        """Peak arithmetic at which weights of this precision are computed.

        Four-bit integers and micro-scaled floats run in the widest narrower unit there is: nvfp4 in fp4, mxfp4 in fp8
        on GPUs with fp4 units; everything else falls back to bfloat16.
        """
        bfloat16 = self.flops["bfloat16"]
        if precision in ("fp8", "fp8_block"):
            return self.flops.get("fp8", bfloat16)
        if precision == "nvfp4":
            return self.flops.get("fp4", bfloat16)
        if precision == "mxfp4" and "fp4" in self.flops:
            return self.flops.get("fp8", bfloat16)
        if precision == "int8":
            return self.flops.get("int8", bfloat16)
        return bfloat16


@dataclass(frozen=True, slots=True)
class EngineEfficiency:
    """What an engine reaches of the peaks, and its overheads in microseconds (fitted; see power.yaml)."""

    host_step_us: float
    host_sequence_us: float
    layer_us: float
    dense_bandwidth: float
    dense_arithmetic: float
    expert_layer_us: float
    expert_layer_fp8_us: float
    expert_bandwidth: float
    expert_arithmetic: float
    message_us: float
    link: float
    state_layer_us: float
    kv_bandwidth: float


@dataclass(frozen=True, slots=True)
class StepTime:
    """Seconds of one step and of its parts; `waiting` (for the most loaded expert GPU) is inside `kernels`."""

    kernels: float
    communication: float
    overhead: float
    waiting: float

    @property
    def seconds(self) -> float:
        """Length of the step."""
        return self.kernels + self.communication + self.overhead


def step_time(
    work: StepWork, shape: Decoder, load: Load, layout: Layout, peaks: GpuPeaks, engine: EngineEfficiency
) -> StepTime:
    """Time of one step from its work: overlap of memory and arithmetic as a root of squares, overheads added."""
    bandwidth, bfloat16 = peaks.memory_bandwidth, peaks.flops["bfloat16"]
    dense_memory = (work.dense_bytes + work.activation_bytes) / (bandwidth * engine.dense_bandwidth)
    dense_memory += (work.kv_bytes + work.state_bytes) / (bandwidth * engine.dense_bandwidth * engine.kv_bandwidth)
    dense_arithmetic = work.dense_flops / (peaks.flops_of(layout.weights) * engine.dense_arithmetic)
    dense_arithmetic += work.attention_flops / (bfloat16 * engine.dense_arithmetic)
    expert_memory = work.expert_bytes / (bandwidth * engine.expert_bandwidth)
    expert_arithmetic = work.expert_flops / (peaks.flops_of(layout.precision_of_experts) * engine.expert_arithmetic)
    balanced = math.hypot(expert_memory, expert_arithmetic)
    crowded = math.hypot(expert_memory * work.expert_crowding_bytes, expert_arithmetic * work.expert_crowding_flops)
    communication = work.messages * engine.message_us * 1e-6
    communication += work.message_bytes / (peaks.link_bandwidth * engine.link)
    return StepTime(
        kernels=math.hypot(dense_memory, dense_arithmetic) + crowded,
        communication=communication,
        overhead=_overhead_seconds(shape, load, layout, bandwidth, engine),
        waiting=crowded - balanced,
    )


def steady_throughput(
    shape: Decoder, load: Load, layout: Layout, peaks: GpuPeaks, engine: EngineEfficiency
) -> tuple[float, StepTime, StepWork]:
    """Output tokens/s of one replica under a steady load, with the time and work of its mean step."""
    work = step_work(shape, load, layout)
    time = step_time(work, shape, load, layout, peaks, engine)
    return load.decode_sequences / time.seconds, time, work


def _overhead_seconds(shape: Decoder, load: Load, layout: Layout, bandwidth: float, engine: EngineEfficiency) -> float:
    expert_us = engine.expert_layer_us * shape.hidden / 4096.0
    if layout.precision_of_experts in ("fp8", "fp8_block"):
        expert_us += engine.expert_layer_fp8_us
    device_us = (
        shape.layers * engine.layer_us + shape.moe_layers * expert_us + shape.state_layers * engine.state_layer_us
    )
    device_us *= math.pow(REFERENCE_BANDWIDTH / bandwidth, DEVICE_OVERHEAD_EXPONENT)
    host_us = engine.host_step_us + engine.host_sequence_us * load.decode_sequences
    return (device_us + host_us) * 1e-6
