"""What a meter reads from, and what it says about a window."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from tuner.power.facts import ThrottleReason

WANTED_ERROR: Final = 0.01
"""Error of the energy of a window that is small enough to be left unsaid."""


class Method(StrEnum):
    """How energy was measured: by the device's own counter, or from samples of its power, which may be far off.

    On A100 and H100 power readings cover a quarter of the time (arXiv 2312.02741).
    """

    COUNTER = "counter"
    SAMPLES = "samples"


@dataclass(frozen=True, slots=True)
class Condition:
    """One device at one moment; `None`: it does not say."""

    watts: float | None = None
    joules: float | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    temperature_celsius: int | None = None
    throttled: frozenset[ThrottleReason] = frozenset()


class EnergySource(Protocol):
    """Devices whose energy is measured together; its methods may be called from several threads."""

    @property
    def method(self) -> Method:
        """How."""

    @property
    def tick_seconds(self) -> float:
        """How often the counter moves at the least, as documented."""

    def joules(self) -> Mapping[str, float]:
        """Energy of each device since some moment in the past; raises `PowerError` when one cannot be read."""

    def conditions(self) -> Mapping[str, Condition]:
        """Each device now; raises `PowerError` when one cannot be read."""


@dataclass(frozen=True, slots=True)
class Idle:
    """What the devices draw while nothing runs, and how often their counters were seen to move (s; the longest pause)."""

    watts: Mapping[str, float]
    seconds: float
    tick_seconds: float | None

    @property
    def total_watts(self) -> float:
        """All devices together."""
        return sum(self.watts.values())


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """One device in a window: watts, MHz (means), °C (highest), the share of samples with each reason for low clocks."""

    average_watts: float | None = None
    peak_watts: float | None = None
    idle_watts: float | None = None
    sm_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    temperature_celsius: int | None = None
    throttled: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PowerReport:
    """All devices in a window.

    `joules` are `None` where a counter could not be read (`problem` says why). `error_bound` is the largest share that
    `joules` may be off by the counter's steps, `None` where it is not known (`method` is `samples`). `seconds_needed` is
    the length at which that would be 1 %, given where the window is shorter. `host_*` are CPU packages and memory
    beside the devices. `samples` counts those of power, clocks and temperature.
    """

    method: Method
    seconds: float
    joules: float | None
    average_watts: float | None
    peak_watts: float | None
    idle_watts: float | None
    tick_seconds: float
    error_bound: float | None
    seconds_needed: float | None
    samples: int
    devices: Mapping[str, DeviceReport]
    host_joules: float | None = None
    host_watts: float | None = None
    problem: str | None = None
