"""Checks of GPUs, their driver, and the permission to change their power."""

from collections import Counter
from collections.abc import Callable

from service.doctor.check import Check, Verdict
from service.doctor.nvml import Nvml, read_nvml


def check_gpus(read: Callable[[], Nvml] = read_nvml) -> list[Check]:
    """NVML and driver, GPUs, power control."""
    nvml = read()
    if nvml.problem is not None:
        missing = Check("NVML and driver", Verdict.MISSING, nvml.problem, nvml.mend)
        return [missing, Check("GPUs", Verdict.MISSING, "none seen", "nothing can be measured on a GPU here")]
    return [Check("NVML and driver", Verdict.OK, f"driver {nvml.driver}"), _gpus(nvml), _power(nvml)]


def _gpus(nvml: Nvml) -> Check:
    if not nvml.gpus:
        return Check("GPUs", Verdict.MISSING, "none", "look at `nvidia-smi -L`; give the container its GPUs")
    kinds = Counter(f"{gpu.name} {gpu.memory_gib:.0f} GiB" for gpu in nvml.gpus)
    found = ", ".join(f"{count} × {kind}" for kind, count in kinds.items())
    sliced = [gpu.uuid for gpu in nvml.gpus if gpu.has_mig]
    if sliced:
        mend = "whole GPUs alone are measured: switch MIG off, or leave these out"
        return Check("GPUs", Verdict.BROKEN, f"{found}; MIG is on for {', '.join(sliced)}", mend)
    return Check("GPUs", Verdict.OK, found)


def _power(nvml: Nvml) -> Check:
    limits = [gpu.power_limits_watts for gpu in nvml.gpus if gpu.power_limits_watts is not None]
    if not limits:
        return Check("power control", Verdict.MISSING, "no GPU tells its limits", "power is measured, not searched")
    lowest, highest = min(low for low, _ in limits), max(high for _, high in limits)
    found = f"limits {lowest:.0f} to {highest:.0f} W"
    if not nvml.is_root:
        mend = "run the worker as root to search power limits and clocks; they are measured without"
        return Check("power control", Verdict.MISSING, f"{found}; not root", mend)
    return Check("power control", Verdict.OK, f"{found}; used where a job and PARETUNE_ALLOW_POWER_CONTROL allow it")
