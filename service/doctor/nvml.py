"""What NVML says of the machine, read and never changed; `pynvml` is looked for when it is asked."""

import importlib
import os
from dataclasses import dataclass
from typing import Any, Final

_MIB: Final = 1024**2
_MILLI: Final = 1000


@dataclass(frozen=True, slots=True)
class GpuSeen:
    """One GPU: memory in GiB, power limits in watts as the device gives them (`None` where it gives none)."""

    name: str
    uuid: str
    memory_gib: float
    has_mig: bool
    power_limits_watts: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Nvml:
    """What NVML says; `problem` where it says nothing."""

    driver: str | None = None
    gpus: tuple[GpuSeen, ...] = ()
    problem: str | None = None
    mend: str = ""

    @property
    def is_root(self) -> bool:
        """Whether this process may change power limits and clocks: NVML asks for root."""
        return os.geteuid() == 0


def read_nvml() -> Nvml:
    """Asks NVML once."""
    try:
        pynvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return Nvml(problem="pynvml is not installed", mend="install nvidia-ml-py")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Nvml(problem=str(error), mend="install NVIDIA's driver, or run on a machine that has a GPU")
    try:
        count = pynvml.nvmlDeviceGetCount()
        gpus = tuple(_seen(pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count))
        return Nvml(str(pynvml.nvmlSystemGetDriverVersion()), gpus)
    except pynvml.NVMLError as error:
        return Nvml(problem=f"NVML fails: {error}", mend="look at `nvidia-smi` and the kernel's log")
    finally:
        pynvml.nvmlShutdown()


def _seen(pynvml: Any, handle: Any) -> GpuSeen:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle).total / _MIB / 1024
    try:
        lowest, highest = pynvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)
        limits = (lowest / _MILLI, highest / _MILLI)
    except pynvml.NVMLError:
        limits = None
    try:
        has_mig = bool(pynvml.nvmlDeviceGetMigMode(handle)[0])
    except pynvml.NVMLError:
        has_mig = False
    return GpuSeen(pynvml.nvmlDeviceGetName(handle), pynvml.nvmlDeviceGetUUID(handle), memory, has_mig, limits)
