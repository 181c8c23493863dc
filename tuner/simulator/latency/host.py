"""What the CPU around the GPU adds to latency, per engine: few numbers, fitted on measured points."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tuner.simulator.latency.limits import HostOverhead

FORMAT = "paretune-host-overhead-1"
GENERATIONS = (
    ("a", "ampere"),
    ("h", "hopper"),
    ("b200", "blackwell"),
    ("b300", "blackwell"),
    ("gb", "blackwell"),
)


def gpu_generation(system: str) -> str:
    """GPU generation by the system's name: ampere, hopper, blackwell; the name itself where it is none of these."""
    for start, generation in GENERATIONS:
        if system.startswith(start):
            return generation
    return system


@dataclass(frozen=True)
class HostModel:
    """Host overhead of one engine, in ms.

    ``intake_ms`` (+ ``family_intake_ms`` of the model family, + ``intake_ms_per_token`` x prompt): from sending a
    request to its being schedulable; ``serial_*``: the part that one thread does request by request;
    ``floor_ms_per_layer``: the least a step that prefills takes, by family; ``intake_factor`` and ``floor_factor``:
    multipliers by GPU generation (its hosts' CPUs), 1 where none is named.
    """

    intake_ms: float
    intake_ms_per_token: float
    serial_ms: float
    serial_ms_per_token: float
    family_intake_ms: Mapping[str, float]
    floor_ms_per_layer: Mapping[str, float]
    intake_factor: Mapping[str, float]
    floor_factor: Mapping[str, float]

    def overhead(self, family: str, system: str, layers: int) -> HostOverhead:
        """The scheduler's host terms for one model (family and layers) on one GPU system."""
        generation = gpu_generation(system)
        slower = self.intake_factor.get(generation, 1.0)
        floor = self.floor_ms_per_layer.get(family, 0.0) * self.floor_factor.get(generation, 1.0)
        return HostOverhead(
            intake_ms=(self.intake_ms + self.family_intake_ms.get(family, 0.0)) * slower,
            intake_ms_per_token=self.intake_ms_per_token * slower,
            serial_ms=self.serial_ms * slower,
            serial_ms_per_token=self.serial_ms_per_token * slower,
            prefill_floor_ms=floor * layers,
        )


NO_HOST = HostModel(0.0, 0.0, 0.0, 0.0, {}, {}, {}, {})
"""No CPU time at all: for engines that nothing is known of, and to see what the kernels alone say."""


def read_hosts(path: Path) -> dict[str, HostModel]:
    """Host models by engine (trtllm, vllm, sglang); ValueError when the file is not of this module's making."""
    loaded = json.loads(path.read_text(encoding="utf-8"))
    if loaded.get("format") != FORMAT:
        raise ValueError(f"{path} holds no host overheads: run benchmarks/fit_host.py to make it")
    return {engine: HostModel(**numbers) for engine, numbers in loaded["engines"].items()}


def write_hosts(hosts: Mapping[str, HostModel], source: str, date: str, path: Path) -> None:
    """Store host models with where they come from."""
    stored = {"format": FORMAT, "source": source, "date": date, "engines": {e: asdict(h) for e, h in hosts.items()}}
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
