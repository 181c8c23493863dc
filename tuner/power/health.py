"""Whether a GPU can be measured on, and whether it is free."""

from typing import Final

import psutil

from tuner.power.errors import NvmlError
from tuner.power.facts import GpuProcess, ThrottleReason
from tuner.power.nvml import Nvml

_FREE_BYTES: Final = 256 * 2**20
"""Memory in use up to which a GPU counts as free: an X server or the MPS daemon hold less, a CUDA context more."""

_OF_PROGRAMS: Final = frozenset({13, 31, 43, 45, 68, 69})
"""Xids that a program's own fault raises (NVIDIA, "XID Errors", r580): the GPU is as good as before."""

_HOT: Final = frozenset({ThrottleReason.THERMAL, ThrottleReason.HARDWARE_THERMAL, ThrottleReason.POWER_BRAKE})


def is_fault_of_gpu(xid: int) -> bool:
    """Whether a critical error speaks against the GPU rather than against a program on it."""
    return xid not in _OF_PROGRAMS


def ailment(nvml: Nvml, uuid: str) -> str | None:
    """Why no trial should run on a GPU, with the mend; `None` when it is well."""
    try:
        if nvml.is_partitioned(uuid):
            return "MIG mode is on, and its instances share power and energy counter; `nvidia-smi -mig 0` ends it"
        if errors := nvml.uncorrectable_errors(uuid):
            return f"{errors} memory errors that ECC could not correct; `nvidia-smi --gpu-reset` resets it"
        if nvml.has_failed_rows(uuid):
            return "broken memory rows that could not be replaced; have it exchanged"
    except NvmlError as error:
        return str(error)
    return None


def hindrance(nvml: Nvml, uuid: str) -> str | None:
    """Why a GPU that no trial uses cannot take one yet; `None` when it can. May pass by itself.

    Memory counts beside processes, for a container does not see those of others.
    """
    try:
        return _occupation(nvml, uuid) or _heat(nvml, uuid)
    except NvmlError as error:
        return str(error)


def _occupation(nvml: Nvml, uuid: str) -> str | None:
    if processes := nvml.processes(uuid):
        return f"used by {', '.join(_named(process) for process in processes)}; end that first"
    used = nvml.memory(uuid).used_bytes
    if used > _FREE_BYTES:
        return f"{used / 2**30:.1f} GiB are in use by a process that is not seen from here; end that first"
    return None


def _heat(nvml: Nvml, uuid: str) -> str | None:
    if hot := nvml.throttle_reasons(uuid) & _HOT:
        celsius = nvml.temperature_celsius(uuid)
        at = "" if celsius is None else f" at {celsius} °C"
        return f"throttled while idle ({', '.join(sorted(hot))}{at}); look after its cooling and its power supply"
    return None


def _named(process: GpuProcess) -> str:
    try:
        return f"process {process.pid} ({psutil.Process(process.pid).name()})"
    except psutil.Error:
        return f"process {process.pid}"
