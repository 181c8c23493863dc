"""The books of a search that measures: numbers trials, judges them, pools repeats, keeps the frontier and reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuner.configuration import Configuration
from tuner.frontier import Frontier
from tuner.search.judge import Judge
from tuner.search.repeats import pooled_measurement
from tuner.search.study import Baseline, Findings, Progress, StudyListener, StudyResult
from tuner.spec import JobSpec
from tuner.trial import Measurement, Trial, TrialState


@dataclass(slots=True)
class _Entry:
    configuration: Configuration
    reason: Mapping[str, object] | None
    measurements: list[Measurement] = field(default_factory=list)
    trial: Trial | None = None


def _unknown() -> None:
    """Nothing bounds the time."""


class MeasuredBooks:
    """What a measuring run has found so far; a configuration is one trial, however often it is measured."""

    def __init__(
        self, spec: JobSpec, space_size: int, sampler: str, listener: StudyListener, clock: Callable[[], float]
    ) -> None:
        self._spec, self._space_size, self._sampler = spec, space_size, sampler
        self._listener, self._clock = listener, clock
        self._judge = Judge(spec.constraints, spec.objectives)
        self._entries: dict[int, _Entry] = {}
        self._baseline: Baseline | None = None
        self._box: Mapping[str, float] | None = None
        self._doing: str | None = None
        self._seconds_left: Callable[[], float | None] = _unknown
        self._frontier = Frontier(spec.objectives)
        self._planned, self._ended, self._before = space_size, 0, 0
        self._started = self._measuring_since = clock()

    def start(self, baseline: Baseline | None = None) -> None:
        """Reports the size of the space."""
        self._baseline = baseline
        self._listener.started(self._space_size, self._sampler, baseline)

    def plan(self, measurements: int, seconds_left: Callable[[], float | None] = _unknown) -> None:
        """Sets how many measurements the run will make at most, and who knows for how long; they begin now."""
        self._planned, self._measuring_since, self._seconds_left = measurements, self._clock(), seconds_left

    def resume(self, trial: Trial, measurements: Sequence[Measurement]) -> None:
        """Takes over a trial of a run that was cut short, with its measurements."""
        self._entries[trial.number] = _Entry(trial.configuration, trial.reason, list(measurements))
        self._conclude(trial.number)
        self._before = self._ended

    def begin(self, configuration: Configuration, reason: Mapping[str, object] | None = None) -> int:
        """The number of the trial that measures a configuration now: a new one, reported as running."""
        number = max(self._entries, default=-1) + 1
        self._entries[number] = _Entry(configuration, reason)
        running = Trial(number, configuration, TrialState.RUNNING, reason=reason)
        self._listener.trials([running], self._progress(), self._numbers())
        return number

    def measured(self, number: int, measurement: Measurement) -> Trial:
        """Takes one measurement of a trial that has begun; several of one trial are pooled."""
        self._entries[number].measurements.append(measurement)
        trial = self._conclude(number)
        self._listener.trials([trial], self._progress(), self._numbers())
        return trial

    def doing(self, words: str | None) -> None:
        """Reports what the measurements in flight are at, when that has changed."""
        if words != self._doing:
            self._doing = words
            self._listener.doing(words)

    def replayed(self, rows: Sequence[tuple[Configuration, Measurement]]) -> None:
        """Takes measurements that are at hand already, the next trials in order; reported together."""
        first = len(self._entries)
        for number, (configuration, measurement) in enumerate(rows, first):
            self._entries[number] = _Entry(configuration, None, [measurement])
        trials = [self._conclude(number) for number in range(first, len(self._entries))]
        self._listener.trials(trials, self._progress(), self._numbers())

    def as_baseline(self, number: int) -> None:
        """Makes a measured trial the default deployment that savings and the hypervolume are counted against."""
        trial = self._entries[number].trial
        if trial is None or trial.failure is not None:
            return
        kept = trial.state is TrialState.COMPLETE
        self._baseline = Baseline(trial.configuration, trial.metrics, trial.provenance, kept)
        self._box = trial.metrics
        self._rebuild()
        self._listener.started(self._space_size, self._sampler, self._baseline)

    @property
    def hypervolume(self) -> float | None:
        """The hypervolume of the frontier so far; see `tuner.frontier.Frontier.hypervolume`."""
        return self._frontier.hypervolume()

    def result(self, findings: Findings, *, cancelled: bool) -> StudyResult:
        """What the run found."""
        states = [entry.trial.state for entry in self._entries.values() if entry.trial is not None]
        return StudyResult(
            space_size=self._space_size,
            evaluated=len(states),
            feasible=states.count(TrialState.COMPLETE),
            failed=states.count(TrialState.FAILED),
            wall_seconds=self._clock() - self._started,
            sampler=self._sampler,
            hypervolume=self._frontier.hypervolume(),
            frontier=self._numbers(),
            baseline=self._baseline,
            misses=self._judge.misses(),
            cancelled=cancelled,
            findings=findings,
        )

    def _conclude(self, number: int) -> Trial:
        entry = self._entries[number]
        found = pooled_measurement(entry.measurements)
        judged = self._judge.trial(number, entry.configuration, found)
        again = entry.trial is not None
        trial = replace(
            judged, reason=entry.reason, intervals=found.intervals, details=found.details, log_tail=found.log_tail
        )
        entry.trial = trial
        self._ended += 1
        if self._box is None and trial.state is TrialState.COMPLETE:
            # without a default to hold it against, the hypervolume is counted around the first feasible measurement
            self._box = trial.metrics
            again = True
        if again:
            self._rebuild()
        else:
            self._frontier.add([trial])
        return trial

    def _rebuild(self) -> None:
        """Makes the frontier anew: a repeat may have moved a member off it."""
        self._frontier = Frontier(self._spec.objectives, self._box)
        self._frontier.add([entry.trial for entry in self._entries.values() if entry.trial is not None])

    def _progress(self) -> Progress:
        fresh = self._ended - self._before
        elapsed = self._clock() - self._measuring_since
        by_count = elapsed / fresh * max(self._planned - self._ended, 0) if fresh else None
        known = [seconds for seconds in (by_count, self._seconds_left()) if seconds is not None]
        eta = min(known, default=None)
        size = len(self._frontier.trials)
        return Progress(self._ended, max(self._planned, self._ended), size, self._frontier.hypervolume(), eta)

    def _numbers(self) -> tuple[int, ...]:
        return tuple(sorted(trial.number for trial in self._frontier.trials))
