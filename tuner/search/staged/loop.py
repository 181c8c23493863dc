"""The measuring loop: asks for rows, keeps measurements in flight, books what comes back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import optuna
from numpy.typing import NDArray

from tuner.configuration import Configuration
from tuner.evaluators.source import MeasurementSource
from tuner.search.measured_books import MeasuredBooks
from tuner.search.repeats import separate_measurements
from tuner.search.staged.account import Account
from tuner.search.staged.findings import simulated_at
from tuner.search.staged.flight import Flight
from tuner.search.staged.history import Observation
from tuner.search.staged.repeats import unconfirmed
from tuner.search.staged.sampler import SpaceExhaustedError, StagedSampler, add, ask, new_study, tell
from tuner.search.staged.stopping import NOTHING, Spent, on_plateau, share_of
from tuner.trial import Failure, FailureKind, Measurement, Trial

CONFIRMING_SHARE: Final = 0.15
"""Share of each budget that is kept to measure the frontier's members a second time, where noise is real."""

Learn = Callable[[int, Observation], None]
"""Takes the number of a trial and what was measured of it."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    """A measurement in flight: its row, its trial, and Optuna's trial where the policy asked for it."""

    row: int
    number: int
    asked: optuna.Trial | None


class Loop:
    """One study's measurements; `observations` holds every one so far."""

    def __init__(
        self,
        rows: Sequence[Configuration],
        source: MeasurementSource,
        sampler: StagedSampler,
        account: Account,
        books: MeasuredBooks,
        learn: Learn,
    ) -> None:
        self._rows, self._source, self._sampler = rows, source, sampler
        self._account, self._books, self._learn = account, books, learn
        self.observations: list[Observation] = []
        self._study = new_study(sampler)
        self._numbers: dict[int, int] = {}
        self._measurements: dict[int, list[Measurement]] = {}
        self._volumes: list[float] = []
        self._tickets: dict[int, _Ticket] = {}
        self._issued = 0
        self._warm: list[int] = []
        self._gpus = np.array([configuration.gpus for configuration in rows])

    def take_up(self, earlier: Sequence[Trial], reference: int | None = None) -> None:
        """Goes on where the same job was cut short: with its trials, in order; rows gone from the space are dropped.

        The first measurement of the `reference` row is the baseline again.
        """
        place = {configuration: row for row, configuration in enumerate(self._rows)}
        for trial in earlier:
            row = place.get(trial.configuration)
            if row is None:
                continue
            measurements = separate_measurements(_measurement(trial))
            self._numbers[row] = trial.number
            self._books.resume(trial, measurements)
            if row == reference:
                self._books.as_baseline(trial.number)
            self._account.recover(trial.configuration, measurements)
            for measurement in measurements:
                self._observe(row, measurement)
            self._volumes += [self._books.hypervolume or 0.0] * len(measurements)

    def first_of(self, flight: Flight, row: int) -> Measurement | None:
        """The first measurement of the reference row, made now unless it was; a second one is paid for beforehand.

        `None` where the budget has no room for it.
        """
        if row not in self._measurements and self._measure_alone(flight, row) is None:
            return None
        self._books.as_baseline(self._numbers[row])
        self._account.keep_back(self._rows[row].gpus)
        return self._measurements[row][0]

    def last_of(self, flight: Flight, row: int) -> Measurement | None:
        """The reference row measured once more; `None` where the budget has no room for it."""
        self._account.keep_back(None)
        return self._measure_alone(flight, row)

    def search(self, flight: Flight) -> str:
        """Measures what the policy asks for until it stops, and says why.

        Raises `CancelledStudyError` when the study is cancelled.
        """
        kept = self._kept_back()
        while True:
            reason = self._fill(flight, kept)
            if len(flight) == 0:
                return reason or "nothing left that is worth a measurement"
            self._take(flight)

    def confirm(self, flight: Flight) -> None:
        """Measures members of the frontier again that were measured once, as long as the budget lasts."""
        if self._source.most_repeats < 2:
            return
        goal = self._sampler.policy.goal
        while waiting := [row for row in unconfirmed(self.observations, goal) if row not in self._in_flight()]:
            if not flight.has_room:
                self._take(flight)
                continue
            if self._account.broken_by(self._rows[waiting[0]].gpus) is not None:
                break
            self._begin(flight, waiting[0], {"rule": "confirm"}, None)
        while len(flight):
            self._take(flight)

    def _measure_alone(self, flight: Flight, row: int) -> Measurement | None:
        if self._account.broken_by(self._rows[row].gpus) is not None:
            return None
        self._begin(flight, row, {"rule": "reference"}, None)
        self._take(flight)
        return self._measurements[row][-1]

    def _fill(self, flight: Flight, kept: Spent) -> str | None:
        """Begins measurements while there is room; says why no more will come, once that is known."""
        while flight.has_room:
            patience = self._account.limits.patience
            if on_plateau(self._volumes, patience):
                return f"no growth in {patience} measurements"
            broken, self._sampler.affordable = self._affordable(kept)
            self._sampler.warm = tuple(self._warm)
            try:
                asked, row = ask(self._study)
            except SpaceExhaustedError:
                return f"the budget of {broken} is used up" if broken else "nothing left that is worth a measurement"
            reason = {**asdict(self._sampler.reasons[asked.number])}
            reason["simulated"] = simulated_at(self._sampler.policy.landscape, row)
            self._begin(flight, row, reason, asked)
        return None

    def _begin(self, flight: Flight, row: int, reason: Mapping[str, object], asked: optuna.Trial | None) -> None:
        number = self._numbers.get(row)
        if number is None:
            number = self._numbers[row] = self._books.begin(self._rows[row], reason)
        ticket, self._issued = self._issued, self._issued + 1
        self._tickets[ticket] = _Ticket(row, number, asked)
        self._account.begin(ticket, self._rows[row], warm=self._takes_warm(row))
        flight.begin(ticket, self._rows[row], len(self._measurements.get(row, ())))

    def _take(self, flight: Flight) -> None:
        """Books the measurements that have ended, at least one."""
        for number, measurement in flight.ended():
            ticket = self._tickets.pop(number)
            self._account.end(number, self._rows[ticket.row], measurement)
            self._leaves_warm(ticket.row, measurement)
            self._books.measured(ticket.number, measurement)
            observation = self._observe(ticket.row, measurement, ticket.asked)
            self._learn(ticket.number, observation)
            self._volumes.append(self._books.hypervolume or 0.0)

    def _observe(self, row: int, measurement: Measurement, asked: optuna.Trial | None = None) -> Observation:
        self._measurements.setdefault(row, []).append(measurement)
        failure = measurement.failure.kind if measurement.failure else None
        if asked is not None:
            tell(self._study, asked, measurement.metrics, failure)
            number = asked.number
        else:
            number = add(self._study, row, measurement.metrics, failure)
        observation = Observation(number, row, measurement.metrics, failure)
        self.observations.append(observation)
        return observation

    def _affordable(self, left: Spent) -> tuple[str | None, NDArray[np.bool_]]:
        """Which rows the budget has room for, and the budget that has none for some."""
        broken = {int(gpus): self._account.broken_by(int(gpus), left) for gpus in np.unique(self._gpus)}
        short = [gpus for gpus, name in broken.items() if name is not None]
        return next((broken[gpus] for gpus in short), None), ~np.isin(self._gpus, short)

    def _takes_warm(self, row: int) -> bool:
        """Whether the deployment of a row is at hand from an earlier measurement; it is in use from now on."""
        build = int(self._sampler.policy.landscape.build[row])
        if build in self._warm:
            self._warm.remove(build)
            return True
        return False

    def _leaves_warm(self, row: int, measurement: Measurement) -> None:
        """Keeps in mind the deployments that ran last, one for each measurement that can be in flight."""
        if measurement.failure is None:
            self._warm = [*self._warm, int(self._sampler.policy.landscape.build[row])][-max(self._source.slots, 1) :]

    def _kept_back(self) -> Spent:
        """What of the budget the search leaves to the confirmation."""
        return share_of(self._account.limits, CONFIRMING_SHARE) if self._source.most_repeats > 1 else NOTHING

    def _in_flight(self) -> set[int]:
        return {ticket.row for ticket in self._tickets.values()}


def _measurement(trial: Trial) -> Measurement:
    """What was measured of a stored trial."""
    failure = trial.failure
    if failure is not None and failure.kind is FailureKind.UNSUPPORTED and trial.metrics:
        failure = None
    return Measurement(
        trial.metrics,
        trial.provenance,
        Failure(failure.kind, failure.detail) if failure else None,
        intervals=trial.intervals,
        details=trial.details,
        log_tail=trial.log_tail,
    )
