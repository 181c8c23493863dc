"""The one door to NVML: what paretune asks of the driver, by UUID, in SI units and with errors of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from tuner.power.errors import (
    GpuLostError,
    NotSupportedError,
    NvmlError,
    NvmlMissingError,
    PermissionDeniedError,
)
from tuner.power.facts import (
    Clocks,
    Gpu,
    GpuProcess,
    Memory,
    PowerBounds,
    Slot,
    ThrottleReason,
    throttle_reasons,
)

_MILLI: Final = 1000.0
_FARTHEST: Final = 50
"""`NVML_TOPOLOGY_SYSTEM`: across the sockets of the machine."""
_NO_LONGER_THERE: Final = ("NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_RESET_REQUIRED")
_CANNOT: Final = ("NVML_ERROR_NOT_SUPPORTED", "NVML_ERROR_FUNCTION_NOT_FOUND", "NVML_ERROR_ARGUMENT_VERSION_MISMATCH")
_MISSING: Final = ("NVML_ERROR_LIBRARY_NOT_FOUND", "NVML_ERROR_DRIVER_NOT_LOADED")
_FORBIDDEN: Final = "NVML_ERROR_NO_PERMISSION"
_MISMATCH: Final = "NVML_ERROR_LIB_RM_VERSION_MISMATCH"


@contextmanager
def open_nvml() -> Iterator["Nvml"]:
    """A session with the driver; raises `NvmlMissingError` where there is none, `NvmlError` where it is broken."""
    import pynvml

    library: Any = pynvml
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        raise _translated(library, error, "nvmlInit", "the driver") from error
    try:
        yield Nvml(library)
    finally:
        library.nvmlShutdown()


class Nvml:
    """An open session; its methods may be called from several threads.

    Every method raises `GpuLostError` for a GPU that does not answer any more, and `NvmlError` for what the driver
    refuses. Handles are those of the session's start: NVML finds none by UUID once any GPU of the machine is lost.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._handles: dict[str, Any] = {}
        self.slots: tuple[Slot, ...] = tuple(self._slot(index) for index in range(library.nvmlDeviceGetCount()))
        self.driver_version = str(library.nvmlSystemGetDriverVersion())

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs that answered at the session's start, in NVML's order."""
        return tuple(slot.gpu for slot in self.slots if slot.gpu is not None)

    def memory(self, uuid: str) -> Memory:
        """Memory in all, and in use by anybody (driver 510 or newer)."""
        found = self._ask(uuid, "nvmlDeviceGetMemoryInfo", self._library.nvmlMemory_v2)
        return Memory(int(found.total), int(found.used))

    def processes(self, uuid: str) -> tuple[GpuProcess, ...]:
        """Who computes on it; a container sees its own processes at most."""
        found = self._maybe(uuid, "nvmlDeviceGetComputeRunningProcesses") or ()
        return tuple(
            GpuProcess(int(process.pid), None if process.usedGpuMemory is None else int(process.usedGpuMemory))
            for process in found
        )

    def is_partitioned(self, uuid: str) -> bool:
        """Whether MIG mode is on, or comes with the next reset."""
        return any(self._maybe(uuid, "nvmlDeviceGetMigMode") or ())

    def uncorrectable_errors(self, uuid: str) -> int:
        """Memory errors that ECC could not correct since the driver was loaded; 0 where the GPU has no ECC."""
        kind, counter = self._library.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, self._library.NVML_VOLATILE_ECC
        return int(self._maybe(uuid, "nvmlDeviceGetTotalEccErrors", kind, counter) or 0)

    def has_failed_rows(self, uuid: str) -> bool:
        """Whether rows of memory are broken and could not be replaced."""
        found = self._maybe(uuid, "nvmlDeviceGetRemappedRows")
        return found is not None and bool(found[3])

    def throttle_reasons(self, uuid: str) -> frozenset[ThrottleReason]:
        """Why its clocks are low now; empty where the GPU does not say."""
        return throttle_reasons(int(self._maybe(uuid, "nvmlDeviceGetCurrentClocksEventReasons") or 0))

    def temperature_celsius(self, uuid: str) -> int | None:
        """Temperature of the chip."""
        found = self._maybe(uuid, "nvmlDeviceGetTemperature", self._library.NVML_TEMPERATURE_GPU)
        return None if found is None else int(found)

    def clocks(self, uuid: str) -> Clocks:
        """Clocks now."""
        sm = self._maybe(uuid, "nvmlDeviceGetClockInfo", self._library.NVML_CLOCK_SM)
        memory = self._maybe(uuid, "nvmlDeviceGetClockInfo", self._library.NVML_CLOCK_MEM)
        return Clocks(None if sm is None else int(sm), None if memory is None else int(memory))

    def graphics_clocks_mhz(self, uuid: str) -> tuple[int, ...]:
        """Clocks that can be locked at the highest memory clock, rising; empty where the GPU does not say."""
        memory = self._maybe(uuid, "nvmlDeviceGetSupportedMemoryClocks")
        found = self._maybe(uuid, "nvmlDeviceGetSupportedGraphicsClocks", max(memory)) if memory else None
        return tuple(sorted(int(clock) for clock in found or ()))

    def power_watts(self, uuid: str) -> float | None:
        """Power of the board: at this moment where the driver says so (since 530), else its mean over the last second."""
        field = self._library.NVML_FI_DEV_POWER_INSTANT
        values = self._maybe(uuid, "nvmlDeviceGetFieldValues", [field])
        if values is not None and values[0].nvmlReturn == self._library.NVML_SUCCESS:
            return int(values[0].value.uiVal) / _MILLI
        found = self._maybe(uuid, "nvmlDeviceGetPowerUsage")
        return None if found is None else int(found) / _MILLI

    def energy_joules(self, uuid: str) -> float | None:
        """Energy of the board since the driver was loaded; `None` where it has no counter (older than Volta)."""
        found = self._maybe(uuid, "nvmlDeviceGetTotalEnergyConsumption")
        return None if found is None else int(found) / _MILLI

    def power_bounds(self, uuid: str) -> PowerBounds:
        """Its power limits; raises `NotSupportedError` where they cannot be set."""
        lowest, highest = self._ask(uuid, "nvmlDeviceGetPowerManagementLimitConstraints")
        default = self._ask(uuid, "nvmlDeviceGetPowerManagementDefaultLimit")
        return PowerBounds(lowest / _MILLI, highest / _MILLI, default / _MILLI, self.power_limit_watts(uuid))

    def power_limit_watts(self, uuid: str) -> float:
        """The limit that is set now; raises `NotSupportedError` where there is none."""
        return int(self._ask(uuid, "nvmlDeviceGetPowerManagementLimit")) / _MILLI

    def set_power_limit(self, uuid: str, watts: float) -> None:
        """Sets the limit until the driver is loaded anew; raises `PermissionDeniedError` for all but root."""
        self._ask(uuid, "nvmlDeviceSetPowerManagementLimit", round(watts * _MILLI))

    def lock_clocks(self, uuid: str, mhz: int) -> None:
        """Holds the clocks of the chip at `mhz`; raises `PermissionDeniedError` for all but root."""
        self._ask(uuid, "nvmlDeviceSetGpuLockedClocks", mhz, mhz)

    def unlock_clocks(self, uuid: str) -> None:
        """Gives the clocks back to the driver; raises `PermissionDeniedError` for all but root."""
        self._ask(uuid, "nvmlDeviceResetGpuLockedClocks")

    def distance(self, one: str, other: str) -> int:
        """How far two GPUs are apart: 0 by NVLink, else `NVML_TOPOLOGY_*` (10: one PCIe switch … 50: across sockets)."""
        library, handle = self._library, self._handle(other)
        if self._maybe(one, "nvmlDeviceGetP2PStatus", handle, library.NVML_P2P_CAPS_INDEX_NVLINK) == 0:
            return 0
        found = self._maybe(one, "nvmlDeviceGetTopologyCommonAncestor", handle)
        return _FARTHEST if found is None else max(int(found), 1)

    @contextmanager
    def listening(self) -> Iterator[Callable[[], tuple[tuple[str, int], ...]]]:
        """Listens to the critical errors of all GPUs: a function that gives those since its last call, as (UUID, Xid).

        It gives none where the driver does not tell them.
        """
        try:
            events = self._library.nvmlEventSetCreate()
        except self._library.NVMLError:
            yield tuple
            return
        try:
            for uuid in self._handles:
                with suppress(NvmlError):
                    self._ask(uuid, "nvmlDeviceRegisterEvents", self._library.nvmlEventTypeXidCriticalError, events)
            yield lambda: tuple(self._events(events))
        finally:
            self._library.nvmlEventSetFree(events)

    def _events(self, events: Any) -> Iterator[tuple[str, int]]:
        while True:
            try:
                event = self._library.nvmlEventSetWait_v2(events, 0)
                uuid = str(self._library.nvmlDeviceGetUUID(event.device))
            except self._library.NVMLError:
                return
            yield uuid, int(event.eventData)

    def _slot(self, index: int) -> Slot:
        library = self._library
        try:
            handle = library.nvmlDeviceGetHandleByIndex(index)
            uuid, name = str(library.nvmlDeviceGetUUID(handle)), str(library.nvmlDeviceGetName(handle))
            memory = int(library.nvmlDeviceGetMemoryInfo(handle).total)
        except library.NVMLError as error:
            return Slot(index, None, str(_translated(library, error, "its description", f"GPU {index}")))
        self._handles[uuid] = handle
        return Slot(index, Gpu(uuid, index, name, memory))

    def _handle(self, uuid: str) -> Any:
        if uuid not in self._handles:
            raise NvmlError(f"there is no GPU {uuid} here; `nvidia-smi -L` lists those that are")
        return self._handles[uuid]

    def _ask(self, uuid: str, function: str, *arguments: object) -> Any:
        handle = self._handle(uuid)
        try:
            return getattr(self._library, function)(handle, *arguments)
        except self._library.NVMLError as error:
            raise _translated(self._library, error, function, f"GPU {uuid}") from error

    def _maybe(self, uuid: str, function: str, *arguments: object) -> Any:
        """What was asked; `None` where this GPU or driver cannot say."""
        try:
            return self._ask(uuid, function, *arguments)
        except NotSupportedError:
            return None


def _translated(library: Any, error: Any, function: str, where: str) -> NvmlError | NvmlMissingError:
    """Our error for one of NVML's."""
    codes = {
        name: getattr(library, name, None) for name in (*_NO_LONGER_THERE, *_CANNOT, *_MISSING, _FORBIDDEN, _MISMATCH)
    }
    name = next((name for name, code in codes.items() if code == error.value), "")
    if name in _MISSING:
        return NvmlMissingError(
            "NVML is missing here; install the NVIDIA driver, or pass the GPUs into the container (`--gpus all`)"
        )
    if name in _NO_LONGER_THERE:
        return GpuLostError(
            f"{where} does not answer any more ({error}); see `dmesg` for its Xid, reset it with "
            "`nvidia-smi --gpu-reset` or restart the machine"
        )
    if name in _CANNOT:
        return NotSupportedError(f"{where} does not support {function}; a newer driver may")
    if name == _FORBIDDEN:
        return PermissionDeniedError(f"{where} refuses {function} to this user; run paretune's worker as root")
    if name == _MISMATCH:
        return NvmlError("the NVIDIA driver and its library are of different versions; restart the machine")
    return NvmlError(f"{where} failed at {function} ({error}); `nvidia-smi -q` may say more")
