"""The account of a measuring run: what was spent, what is bound by measurements in flight, and what still fits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tuner.configuration import Configuration
from tuner.search.staged.prices import Timing, learned_timing
from tuner.search.staged.stopping import NOTHING, Limits, Spent, exceeded
from tuner.trial import Measurement

START_SECONDS: Final = "start_seconds"
WINDOW_SECONDS: Final = "window_seconds"
"""Names under which a measurement's details say how long starting its engine and loading it took."""


@dataclass(slots=True)
class Account:
    """Budgets in hard terms: nothing is begun that is not predicted to end within them.

    With a `clock` (seconds) minutes are those that pass; without, the sum of what the measurements would take.
    """

    limits: Limits
    expected: Timing
    clock: Callable[[], float] | None = None
    _spent: Spent = field(default_factory=Spent)
    _bound: dict[int, Spent] = field(default_factory=dict)
    _starts: list[float] = field(default_factory=list)
    _windows: list[float] = field(default_factory=list)
    _began: float | None = None
    _minutes_before: float = 0.0
    _kept: Spent = field(default_factory=Spent)

    @property
    def timing(self) -> Timing:
        """What a measurement takes, by those that have ended."""
        return learned_timing(self._starts, self._windows, self.expected)

    def keep_back(self, gpus: int | None) -> None:
        """Keeps the price of one measurement on so many GPUs out of what may be spent, or gives it free again."""
        self._kept = self.timing.price(gpus) if gpus is not None else Spent()

    def broken_by(self, gpus: int, kept: Spent = NOTHING) -> str | None:
        """The name of the budget that measuring on so many GPUs would break; `None` when it fits.

        `kept` is to be left for later.
        """
        bound = self._spent
        for price in self._bound.values():
            bound = bound.plus(price)
        if self.clock is not None:
            bound = Spent(bound.trials, self._minutes(), bound.gpu_hours)
        return exceeded(self.limits, bound.plus(self._kept).plus(kept), self.timing.price(gpus))

    def seconds_left(self) -> float | None:
        """The most seconds that the budgets of minutes and GPU-hours leave, by what was used of them in what time.

        `None` without a clock, and without such a budget.
        """
        if self.clock is None:
            return None
        passed, left = self._minutes(), list[float]()
        if self.limits.minutes is not None:
            left.append(self.limits.minutes - passed)
        if self.limits.gpu_hours is not None and self._spent.gpu_hours > 0:
            left.append(passed * (self.limits.gpu_hours / self._spent.gpu_hours - 1))
        return 60 * max(0.0, min(left)) if left else None

    def begin(self, ticket: int, configuration: Configuration, *, warm: bool = False) -> None:
        """Binds what a measurement is predicted to take; a `warm` deployment needs no start."""
        if self.clock is not None and self._began is None:
            self._began = self.clock()
        self._bound[ticket] = self.timing.price(configuration.gpus, warm=warm)

    def end(self, ticket: int, configuration: Configuration, measurement: Measurement) -> None:
        """Books what a measurement took, or what was predicted where it does not say."""
        predicted = self._bound.pop(ticket, self.timing.price(configuration.gpus))
        self._spent = self._spent.plus(self._taken(configuration, measurement.details, predicted))

    def recover(self, configuration: Configuration, measurements: Sequence[Measurement]) -> None:
        """Books the measurements of a run that was cut short."""
        for measurement in measurements:
            self.end(-1, configuration, measurement)
        self._minutes_before = self._spent.minutes

    def _minutes(self) -> float:
        """Minutes that have passed since the first measurement began, those before a cut included."""
        running = 0.0 if self.clock is None or self._began is None else (self.clock() - self._began) / 60
        return self._minutes_before + running

    def _taken(self, configuration: Configuration, details: Mapping[str, object] | None, predicted: Spent) -> Spent:
        start, window = (_minutes_in(details, name) for name in (START_SECONDS, WINDOW_SECONDS))
        if start is not None:
            self._starts.append(start)
        if window is not None:
            self._windows.append(window)
        if start is None and window is None:
            return predicted
        minutes = (start or 0.0) + (window or 0.0)
        return Spent(1, minutes, minutes / 60 * configuration.gpus)


def _minutes_in(details: Mapping[str, object] | None, name: str) -> float | None:
    seconds = (details or {}).get(name)
    return float(seconds) / 60 if isinstance(seconds, int | float) else None
