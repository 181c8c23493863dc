"""Reads `power.yaml`: power and peaks of every GPU, and the fitted efficiencies of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import yaml

from tuner.simulator.power.draw import GpuPower, PowerCoefficients
from tuner.simulator.power.step_time import EngineEfficiency, GpuPeaks
from tuner.space import hardware

DATA_FILE = Path(hardware.__file__).with_name("power.yaml")


@dataclass(frozen=True, slots=True)
class PowerTable:
    """Every GPU's power by name, the engine's efficiencies, and default prompt lengths by ML.ENERGY task (tokens)."""

    gpus: Mapping[str, GpuPower]
    engine: EngineEfficiency
    prompt_tokens: Mapping[str, float]
    default_prompt_tokens: float

    def gpu(self, name: str) -> GpuPower:
        """Power of a GPU; raises `ValueError` naming those known."""
        if name not in self.gpus:
            raise ValueError(f"no power data for GPU {name!r}; known: {', '.join(sorted(self.gpus))}")
        return self.gpus[name]


@cache
def read_power_table(path: Path = DATA_FILE) -> PowerTable:
    """The table in `path`."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    reference = PowerCoefficients(**{f.name: float(data["reference"][f.name]) for f in fields(PowerCoefficients)})
    reference_limit = float(data["reference"]["limit_watts"])
    reference_bandwidth = float(data["reference"]["memory_bandwidth"])
    gpus = {
        name: _gpu(name, row, reference, reference_limit, reference_bandwidth) for name, row in data["gpus"].items()
    }
    engine = EngineEfficiency(**{f.name: float(data["engine"]["vllm"][f.name]) for f in fields(EngineEfficiency)})
    prompts = {task: float(tokens) for task, tokens in data["prompt_tokens"].items()}
    return PowerTable(gpus, engine, prompts, float(data["default_prompt_tokens"]))


def _gpu(
    name: str,
    row: Mapping[str, object],
    reference: PowerCoefficients,
    reference_limit: float,
    reference_bandwidth: float,
) -> GpuPower:
    """Coefficients carried over: by board limit for arithmetic, by energy a byte for memory."""
    limit, bandwidth = _number(row, "limit_watts"), _number(row, "memory_bandwidth")
    size = limit / reference_limit * _number(row, "generation")
    per_byte = _number(row, "energy_per_byte") * bandwidth / reference_bandwidth
    coefficients = PowerCoefficients(
        active=reference.active * size,
        memory=reference.memory * per_byte,
        arithmetic=reference.arithmetic * size,
        state=reference.state * size,
        block_scaling=reference.block_scaling * size * _number(row, "software_block_scaling"),
        spinning=reference.spinning * size,
    )
    flops = row["flops"]
    if not isinstance(flops, Mapping):
        raise TypeError(f"{name}: flops must map a precision to FLOP/s")
    peaks = GpuPeaks(bandwidth, {str(k): float(v) for k, v in flops.items()}, _number(row, "link_bandwidth"))
    return GpuPower(
        name=name,
        idle_watts=_number(row, "idle_watts"),
        limit_watts=limit,
        minimum_limit_watts=_number(row, "minimum_limit_watts"),
        minimum_clock_mhz=int(_number(row, "minimum_clock_mhz")),
        maximum_clock_mhz=int(_number(row, "maximum_clock_mhz")),
        coefficients=coefficients,
        peaks=peaks,
    )


def _number(row: Mapping[str, object], field: str) -> float:
    value = row.get(field)
    if not isinstance(value, (int, float)):
        raise TypeError(f"{field} must be a number, not {value!r}")
    return float(value)
