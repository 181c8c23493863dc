"""GPU types that can be simulated: memory, bandwidth, arithmetic, precisions, engines with kernel data.

Source: the system descriptions and the support matrix in the `aiconfigurator-core` wheel (NVIDIA, Apache-2.0), read
as files, without importing the package.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import yaml

from tuner.errors import KernelDataError, SpecError
from tuner.spec import Engine
from tuner.spec_problems import near

SIMULATOR_BACKENDS: Final = {Engine.TENSORRT_LLM: "trtllm", Engine.VLLM: "vllm", Engine.SGLANG: "sglang"}
"""Name of each engine in the kernel data."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ALIASES: Final = {
    "a100": "a100_sxm",
    "h100": "h100_sxm",
    "h200": "h200_sxm",
    "b200": "b200_sxm",
    "b300": "b300_sxm",
    "rtx_pro_6000": "rtx_pro_6000_server",
}


_OTHER_VENDORS_CAPABILITY: Final = 80
"""Stands in for NVIDIA's compute capability where a vendor has none: bfloat16 only is taken for granted."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU type. Memory in GiB, bandwidth in GB/s, arithmetic in dense TFLOP/s by precision, power in watts.

    `power_limit_watts` and `clock_mhz` are the lowest and highest that the board takes (`power.yaml` has the sources).
    """

    name: str
    memory_gib: float
    memory_bandwidth_gbps: float
    tflops: dict[str, float]
    tdp_watts: float
    idle_watts: float
    compute_capability: int
    gpus_per_node: int
    power_limit_watts: tuple[float, float]
    clock_mhz: tuple[int, int]
    engines: tuple[str, ...]

    @property
    def has_fp8(self) -> bool:
        """Whether the tensor cores compute in FP8 (Ada, Hopper and newer)."""
        return "fp8" in self.tflops

    @property
    def has_fp4(self) -> bool:
        """Whether the tensor cores compute in FP4 (Blackwell and newer)."""
        return "fp4" in self.tflops


def kernel_data_directory() -> Path:
    """Folder of the kernel data package; raises `KernelDataError` when it is not installed."""
    found = find_spec("aiconfigurator_core")
    if found is None or found.origin is None:
        raise KernelDataError("aiconfigurator-core is not installed; run `uv sync`")
    return Path(found.origin).parent


@cache
def known_gpus() -> tuple[Gpu, ...]:
    """Every GPU type with kernel data for at least one engine, by name."""
    systems = kernel_data_directory() / "systems"
    matrix = support_matrix()
    gpus = []
    for path in sorted(systems.glob("*.yaml")):
        engines = tuple(
            engine.value for engine, backend in SIMULATOR_BACKENDS.items() if matrix.get((path.stem, backend))
        )
        if engines:
            gpus.append(_read_gpu(path, engines))
    return tuple(gpus)


def find_gpu(name: str, field: str = "hardware.gpu") -> Gpu:
    """The GPU type of that name (`h100` stands for `h100_sxm`); raises `SpecError` with near matches."""
    folded = name.strip().lower().replace("-", "_").replace(" ", "_")
    gpus = {gpu.name: gpu for gpu in known_gpus()}
    found = gpus.get(_ALIASES.get(folded, folded))
    if found is None:
        raise SpecError.of(field, f"no kernel data for GPU {name!r}; {near(folded, gpus)}")
    return found


@cache
def support_matrix() -> dict[tuple[str, str], frozenset[str]]:
    """Architectures that ran on measured kernel data alone, by (GPU, backend)."""
    architectures: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in sorted((kernel_data_directory() / "systems" / "support_matrix").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["Mode"] == "agg" and row["Status"] == "PASS":
                    architectures[row["System"], row["Backend"]].add(row["Architecture"])
    return {key: frozenset(names) for key, names in architectures.items()}


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file of our own or of the kernel data, read by libyaml where it is built in."""
    loaded: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506
    return loaded


@cache
def _boards() -> dict[str, dict[str, float]]:
    boards: dict[str, dict[str, float]] = read_yaml(Path(__file__).with_name("power.yaml"))["gpus"]
    return boards


def _read_gpu(path: Path, engines: tuple[str, ...]) -> Gpu:
    data = read_yaml(path)
    gpu, node, board = data["gpu"], data["node"], _boards()[path.stem]
    suffix = "_tc_flops"
    return Gpu(
        name=path.stem,
        memory_gib=gpu["mem_capacity"] / 2**30,
        memory_bandwidth_gbps=gpu["mem_bw"] / 1e9,
        tflops={key.removesuffix(suffix): value / 1e12 for key, value in gpu.items() if key.endswith(suffix)},
        tdp_watts=float(gpu["power"]),
        idle_watts=float(board["idle_watts"]),
        compute_capability=int(gpu.get("sm_version", _OTHER_VENDORS_CAPABILITY)),
        gpus_per_node=int(node["num_gpus_per_node"]),
        power_limit_watts=(float(board["minimum_limit_watts"]), float(board["limit_watts"])),
        clock_mhz=(int(board["minimum_clock_mhz"]), int(board["maximum_clock_mhz"])),
        engines=engines,
    )
