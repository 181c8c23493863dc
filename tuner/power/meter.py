"""Measures the energy of a window, and watches the devices meanwhile.

with Meter(GpuEnergy(nvml, devices), host) as meter:
    idle = meter.measure_idle()
    window = …                      # the load client reads the meter at the start and at the end
    report = meter.report(start_moment, end_moment, joules)
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import pairwise
from types import TracebackType
from typing import Final, Self

from tuner.power.energy import EnergySource, Idle, PowerReport
from tuner.power.errors import GpuLostError, PowerError
from tuner.power.reporting import Sample, report_of
from tuner.power.ticker import Ticker

_PERIOD_SECONDS: Final = 0.1
_KEPT_SAMPLES: Final = 36_000
"""An hour."""
_POLL_SECONDS: Final = 0.002
_IDLE_SECONDS: Final = 2.0


class Meter:
    """A meter of some devices, with the host's packages beside them where `host` is given.

    While its block lasts a thread samples power, clocks, temperature and reasons for low clocks. `problem`: why a device
    could not be read at the last try that failed; `lost`: that one does not answer any more at all.
    """

    def __init__(
        self,
        source: EnergySource,
        host: EnergySource | None = None,
        clock: Callable[[], float] = time.monotonic,
        period_seconds: float = _PERIOD_SECONDS,
    ) -> None:
        """`clock` is the one that the windows are of; it runs in seconds."""
        self._source = source
        self._host = host
        self._clock = clock
        self._samples: deque[Sample] = deque(maxlen=_KEPT_SAMPLES)
        self._ticker = Ticker(self._sample, period_seconds)
        self.idle: Idle | None = None
        self.problem: str | None = None
        self.lost: str | None = None

    def __enter__(self) -> Self:
        self._ticker.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ticker.__exit__(kind, error, at)

    def read(self) -> float | None:
        """Joules of all devices since some moment in the past; `None` where one cannot be read (`problem` says why)."""
        try:
            return sum(self._source.joules().values())
        except PowerError as error:
            self._note(error)
            return None

    def measure_idle(self, seconds: float = _IDLE_SECONDS, cancelled: Callable[[], bool] = lambda: False) -> Idle:
        """Watches the counters closely for some seconds while nothing runs: what is drawn, and how often they move.

        Raises `PowerError` when a device cannot be read.
        """
        before, started = self._source.joules(), self._clock()
        first = {name: (started, joules) for name, joules in before.items()}
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in before}
        last = dict(before)
        while (now := self._clock()) - started < seconds and not cancelled():
            for name, joules in self._source.joules().items():
                if joules != last[name]:
                    seen[name].append((now, joules))
                    last[name] = joules
            time.sleep(_POLL_SECONDS)
        end = (now, last)
        self.idle = Idle(
            {name: _watts(moves, first[name], (end[0], last[name])) for name, moves in seen.items()},
            now - started,
            _longest_pause(seen),
        )
        return self.idle

    def report(self, started: float, ended: float, joules: float | None) -> PowerReport:
        """What happened between two moments of the clock; `joules` is what `read` grew by between them."""
        within = [sample for sample in tuple(self._samples) if started <= sample.moment <= ended]
        return report_of(self._source, self.idle, within, ended - started, joules, self.problem)

    def _note(self, error: PowerError) -> None:
        self.problem = str(error)
        if isinstance(error, GpuLostError):
            self.lost = str(error)

    def _sample(self) -> None:
        try:
            conditions = self._source.conditions()
        except PowerError as error:
            self._note(error)
            return
        host = None
        if self._host is not None:
            with suppress(PowerError):
                host = sum(self._host.joules().values())
        self._samples.append(Sample(self._clock(), conditions, host))


def _watts(moves: list[tuple[float, float]], first: tuple[float, float], end: tuple[float, float]) -> float:
    """Power from one move of the counter to the last, for between moves it stands still."""
    (start, joules), (stop, more) = (moves[0], moves[-1]) if len(moves) > 1 else (first, end)
    return (more - joules) / (stop - start) if stop > start else 0.0


def _longest_pause(seen: Mapping[str, list[tuple[float, float]]]) -> float | None:
    """The longest pause between two moves of any counter (s); `None` where one was not seen to move twice."""
    pauses = [[later - earlier for (earlier, _), (later, _) in pairwise(moves)] for moves in seen.values()]
    return max(max(one) for one in pauses) if pauses and all(pauses) else None
