"""The energy of one server's devices: idle before it starts, then over exactly the steady window of each load."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final, Self

from tuner.evaluators.hosts import Host
from tuner.load.windows import Window, joined
from tuner.power.energy import WANTED_ERROR, EnergySource, Idle
from tuner.power.errors import EnergyUnavailableError
from tuner.power.meter import Meter
from tuner.trial import Failure, FailureKind

_PEAK_OVER_AVERAGE: Final = 1.5
"""How far the power of a steady load may swing above its average: the counter's error goes with the peak."""


@dataclass(frozen=True, slots=True)
class Energy:
    """What is read, what stands beside it, and what the devices drew before anything ran on them."""

    source: EnergySource
    beside: EnergySource | None
    idle: Idle

    @classmethod
    def of(cls, host: Host, devices: tuple[str, ...], cancelled: Callable[[], bool]) -> Self | None:
        """Watches the idle devices for seconds; `None` where nothing tells their energy. Raises `PowerError`."""
        try:
            source = host.energy_of(devices)
        except EnergyUnavailableError:
            return None
        if source is None:
            return None
        beside = host.energy_beside()
        return cls(source, beside, Meter(source, beside).measure_idle(cancelled=cancelled))

    @property
    def shortest_window_seconds(self) -> float:
        """The window in which the counter's steps are 1 % of the energy, as far as its pauses were seen."""
        tick = self.source.tick_seconds if self.idle.tick_seconds is None else self.idle.tick_seconds
        return tick * _PEAK_OVER_AVERAGE / WANTED_ERROR

    @contextmanager
    def metered(self) -> Iterator[Meter]:
        """A meter for one load."""
        with Meter(self.source, self.beside) as meter:
            meter.idle = self.idle
            yield meter


def failure_of(meter: Meter | None) -> Failure | None:
    """That a device of the load does not answer any more."""
    return None if meter is None or meter.lost is None else Failure(FailureKind.LOST, meter.lost)


def power_details(meter: Meter, windows: tuple[Window, ...]) -> dict[str, object]:
    """The report of the steady window as plain data: joules, watts, °C, MHz, and how well the energy is known."""
    window = joined(windows)
    report = meter.report(window.start.moment, window.end.moment, window.joules)
    return {**asdict(report), "method": report.method.value}
