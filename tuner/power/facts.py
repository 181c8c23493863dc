"""What is known of a GPU, as plain data."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its id for ever, its place in NVML's order (by PCI bus), its model and memory."""

    uuid: str
    index: int
    name: str
    memory_total_bytes: int

    def __str__(self) -> str:
        return f"GPU {self.index} ({self.name}, {self.uuid})"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in NVML's order: a GPU, or the reason why the driver shows none there."""

    index: int
    gpu: Gpu | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a GPU in bytes; `used` is without what the driver reserves for itself."""

    total_bytes: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that computes on a GPU; its number is the host's, its memory `None` where the driver hides it."""

    pid: int
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Clocks:
    """Clocks at this moment in MHz; `None`: the GPU does not say."""

    sm_mhz: int | None
    memory_mhz: int | None


@dataclass(frozen=True, slots=True)
class PowerBounds:
    """Power limits of a GPU in watts: the least and the most it takes, its default, and what is set now."""

    min_watts: float
    max_watts: float
    default_watts: float
    current_watts: float


class ThrottleReason(StrEnum):
    """Why a GPU's clocks are below what they could be."""

    IDLE = "idle"
    CLOCK_SETTING = "clock_setting"
    POWER_CAP = "power_cap"
    HARDWARE_SLOWDOWN = "hardware_slowdown"
    SYNC_BOOST = "sync_boost"
    THERMAL = "thermal"
    HARDWARE_THERMAL = "hardware_thermal"
    POWER_BRAKE = "power_brake"
    DISPLAY = "display"


THROTTLE_BITS: dict[int, ThrottleReason] = {
    0x1: ThrottleReason.IDLE,
    0x2: ThrottleReason.CLOCK_SETTING,
    0x4: ThrottleReason.POWER_CAP,
    0x8: ThrottleReason.HARDWARE_SLOWDOWN,
    0x10: ThrottleReason.SYNC_BOOST,
    0x20: ThrottleReason.THERMAL,
    0x40: ThrottleReason.HARDWARE_THERMAL,
    0x80: ThrottleReason.POWER_BRAKE,
    0x100: ThrottleReason.DISPLAY,
}
"""`nvmlClocksEventReason*` of nvml.h (nvidia-ml-py 13.615)."""


def throttle_reasons(mask: int) -> frozenset[ThrottleReason]:
    """The reasons in NVML's bit mask; bits of newer drivers are passed over."""
    return frozenset(reason for bit, reason in THROTTLE_BITS.items() if mask & bit)
