"""Energy of GPUs: by their counters, and by samples of power for those that have none."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tuner.power.energy import Condition, Method
from tuner.power.errors import EnergyUnavailableError
from tuner.power.nvml import Nvml

_TICK_SECONDS: Final = 0.1
"""The longest pause of NVML's energy counter: it moves every 20–100 ms (arXiv 2312.02741)."""


class GpuEnergy:
    """The energy of GPUs by UUID; raises `EnergyUnavailableError` where one tells neither energy nor power."""

    def __init__(self, nvml: Nvml, uuids: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._nvml = nvml
        self._uuids = tuple(uuids)
        self._sampled = {
            uuid: _SampledEnergy(nvml, uuid, clock) for uuid in self._uuids if nvml.energy_joules(uuid) is None
        }

    @property
    def method(self) -> Method:
        """`samples` as soon as one GPU has no counter."""
        return Method.SAMPLES if self._sampled else Method.COUNTER

    @property
    def tick_seconds(self) -> float:
        """The longest pause that is documented."""
        return _TICK_SECONDS

    def joules(self) -> Mapping[str, float]:
        """Energy of each GPU; raises `NvmlError` when one does not answer."""
        return {uuid: self._joules(uuid) for uuid in self._uuids}

    def conditions(self) -> Mapping[str, Condition]:
        """Each GPU now; raises `NvmlError` when one does not answer."""
        return {uuid: self._condition(uuid) for uuid in self._uuids}

    def _joules(self, uuid: str) -> float:
        if uuid in self._sampled:
            return self._sampled[uuid].joules()
        joules = self._nvml.energy_joules(uuid)
        if joules is None:
            raise EnergyUnavailableError(f"GPU {uuid} no longer tells its energy; restart the machine's driver")
        return joules

    def _condition(self, uuid: str) -> Condition:
        clocks = self._nvml.clocks(uuid)
        return Condition(
            watts=self._nvml.power_watts(uuid),
            joules=self._joules(uuid),
            sm_clock_mhz=clocks.sm_mhz,
            memory_clock_mhz=clocks.memory_mhz,
            temperature_celsius=self._nvml.temperature_celsius(uuid),
            throttled=self._nvml.throttle_reasons(uuid),
        )


class _SampledEnergy:
    """Samples of a GPU's power, joined by straight lines; only as fine as it is asked often."""

    def __init__(self, nvml: Nvml, uuid: str, clock: Callable[[], float]) -> None:
        self._nvml = nvml
        self._uuid = uuid
        self._clock = clock
        self._lock = threading.Lock()
        self._sum = 0.0
        self._last = (clock(), self._watts())

    def joules(self) -> float:
        """Energy since the start, up to now."""
        with self._lock:
            before, was = self._last
            now, is_now = self._last = (self._clock(), self._watts())
            self._sum += (now - before) * (was + is_now) / 2
            return self._sum

    def _watts(self) -> float:
        watts = self._nvml.power_watts(self._uuid)
        if watts is None:
            raise EnergyUnavailableError(
                f"GPU {self._uuid} tells neither its energy nor its power; leave the objective `energy` out"
            )
        return watts
