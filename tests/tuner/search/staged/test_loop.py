"""The measuring loop on a machine that can be watched: budgets, flights, repeats, drift, and going on after a cut."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest

from tests.tuner.search.staged.conftest import Machine
from tuner.configuration import Configuration
from tuner.evaluators.source import Expected, Place
from tuner.metrics import Provenance
from tuner.search.measured_books import MeasuredBooks
from tuner.search.memory import NoMemory
from tuner.search.staged.learned import Correction, Scope
from tuner.search.staged.run import run_staged
from tuner.search.study import Baseline, Findings, Progress, StudyResult
from tuner.spec import JobSpec, parse_spec
from tuner.trial import Failure, FailureKind, Measurement, Trial, TrialState


@dataclass
class Bench:
    """A source that measures the made-up machine; with a `meeting` each measurement waits for as many others."""

    machine: Machine
    slots: int = 1
    most_repeats: int = 1
    noise: float = 0.0
    meeting: threading.Barrier | None = None
    drift: float = 0.0
    loses: int = 0
    in_real_time: bool = False
    place: Place = field(default_factory=Place)
    expected: Expected = field(default_factory=Expected)
    asked: list[tuple[Configuration, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def has_room(self, running: Sequence[Configuration]) -> bool:
        return len(running) < self.slots

    def doing(self) -> str | None:
        return f"at the bench for the {len(self.asked)}th time" if self.asked else None

    def measure(self, configuration: Configuration, repeat: int, cancelled: Callable[[], bool]) -> Measurement:
        with self._lock:
            self.asked.append((configuration, repeat))
            late = 1 + self.drift * len(self.asked) / 20
        if self.meeting is not None:
            self.meeting.wait(10)
        if len(self.asked) <= self.loses:
            return Measurement(failure=Failure(FailureKind.LOST, "the machine went away"))
        row = self.machine.configurations.index(configuration)
        if not self.machine.fits[row]:
            return Measurement(failure=Failure(FailureKind.OUT_OF_MEMORY, "no room"))
        factor = float(np.exp(np.random.default_rng([row, repeat]).normal(0, self.noise)))
        metrics = {key: value * factor * late for key, value in self.machine.truth[row].items()}
        intervals = {key: (value * 0.99, value * 1.01) for key, value in metrics.items()}
        return Measurement(metrics, dict.fromkeys(metrics, Provenance.MEASURED), intervals=intervals)


class Recorder:
    """Keeps the latest word on every trial."""

    def __init__(self) -> None:
        self.latest: dict[int, Trial] = {}
        self.begun: list[int] = []
        self.baseline: Baseline | None = None
        self.activities: list[str | None] = []

    def started(self, space_size: int, sampler: str, baseline: Baseline | None) -> None:
        self.baseline = baseline

    def trials(self, batch: Sequence[Trial], progress: Progress, frontier: Sequence[int]) -> None:
        for trial in batch:
            self.begun += [trial.number] if trial.state is TrialState.RUNNING else []
            self.latest[trial.number] = trial

    def doing(self, words: str | None) -> None:
        self.activities.append(words)

    def cancelled(self) -> bool:
        return False


class Notebook(NoMemory):
    """A memory that is one list."""

    def __init__(self) -> None:
        self.kept: list[Correction] = []

    def recall(self, scopes: Sequence[Scope]) -> Sequence[Correction]:
        return list(self.kept)

    def keep(self, scope: Scope, trial: int, correction: Correction) -> None:
        self.kept.append(correction)


def spec_of(**changes: object) -> JobSpec:
    plain = {
        "model": "Qwen/Qwen3-8B",
        "hardware": {"gpu": "h200_sxm", "gpus": 8},
        "workload": {"input_tokens": 1000, "output_tokens": 200},
        "constraints": {"ttft_mean_ms": 250.0},
        "evaluator": "staged",
        "replay": {"table": "unused.csv"},
    }
    return parse_spec(plain | changes)


def run(
    bench: Bench,
    budget: dict[str, float],
    *,
    earlier: Sequence[Trial] = (),
    reference: int | None = None,
    memory: NoMemory | None = None,
) -> tuple[Findings, Recorder, StudyResult]:
    recorder, spec = Recorder(), spec_of(budget=budget)
    rows = bench.machine.configurations
    books = MeasuredBooks(spec, len(rows), "staged", recorder, time.monotonic)
    books.start()
    found = run_staged(
        spec, rows, bench, books, memory or NoMemory(), None, recorder.cancelled, earlier, reference=reference
    )
    return found, recorder, books.result(found, cancelled=False)


def test_without_a_simulator_it_measures_its_way_to_the_frontier(machine: Machine) -> None:
    found, recorder, result = run(Bench(machine), {"trials": 24})

    assert found.stopped == "the budget of trials is used up"
    assert result.evaluated == 24
    assert not found.predictions
    best = min(figures["tpot_mean_ms"] for figures, fits in zip(machine.truth, machine.fits, strict=True) if fits)
    assert min(recorder.latest[n].metrics["tpot_mean_ms"] for n in result.frontier) == pytest.approx(best, rel=0.15)


def test_as_many_are_in_flight_as_the_source_has_room_for_and_none_twice(machine: Machine) -> None:
    bench = Bench(machine, slots=4, meeting=threading.Barrier(4))

    run(bench, {"trials": 16})  # a meeting of fewer than four would break the barrier

    assert len({configuration for configuration, _ in bench.asked}) == len(bench.asked) == 16


def test_a_trial_is_shown_as_running_before_it_ends(machine: Machine) -> None:
    _, recorder, _ = run(Bench(machine), {"trials": 5})

    assert recorder.begun == [0, 1, 2, 3, 4]
    assert all(trial.state is not TrialState.RUNNING for trial in recorder.latest.values())


def test_no_configuration_that_fails_is_tried_again(machine: Machine) -> None:
    bench = Bench(machine, most_repeats=3)

    _, recorder, _ = run(bench, {"trials": 40})

    failed = {t.configuration for t in recorder.latest.values() if t.state is TrialState.FAILED}
    assert failed
    assert all(sum(c == configuration for c, _ in bench.asked) == 1 for configuration in failed)


@pytest.mark.parametrize("budget", [{"trials": 30}, {"minutes": 210}, {"gpu_hours": 12}])
def test_where_measurements_are_noisy_the_frontier_is_confirmed_and_its_intervals_reported(
    machine: Machine, budget: dict[str, float]
) -> None:
    bench = Bench(machine, most_repeats=3, noise=0.02)

    _, recorder, result = run(bench, budget)

    confirmed = [n for n in result.frontier if sum(c == recorder.latest[n].configuration for c, _ in bench.asked) > 1]
    assert len(confirmed) >= 0.4 * len(result.frontier)
    for number in confirmed:
        trial = recorder.latest[number]
        low, high = trial.intervals["tpot_mean_ms"]
        assert low < trial.metrics["tpot_mean_ms"] < high


@pytest.mark.parametrize("budget", [{"trials": 7}, {"gpu_hours": 1.5}, {"minutes": 30}])
def test_a_budget_is_never_overrun(machine: Machine, budget: dict[str, float]) -> None:
    bench = Bench(machine, slots=3)

    found, _, result = run(bench, budget)

    hours = sum(configuration.gpus * 7 / 60 for configuration, _ in bench.asked)
    warm_hours = sum(configuration.gpus * 3 / 60 for configuration, _ in bench.asked)
    assert result.evaluated <= budget.get("trials", 99)
    assert warm_hours <= budget.get("gpu_hours", 1e9)
    assert hours > 0
    assert found.stopped == f"the budget of {next(iter(budget))} is used up"


def test_the_reference_is_measured_first_and_last_and_shows_drift(machine: Machine) -> None:
    steady = run(Bench(machine), {"trials": 10}, reference=40)
    drifting = run(Bench(machine, drift=0.5), {"trials": 10}, reference=40)

    assert steady[1].baseline is not None
    assert steady[1].baseline.configuration == machine.configurations[40]
    assert {item.beyond_noise for item in steady[0].drift} == {False}
    assert {item.beyond_noise for item in drifting[0].drift} == {True}


def test_a_job_cut_short_goes_on_with_what_it_had_measured(machine: Machine) -> None:
    whole = run(Bench(machine), {"trials": 14})[1].latest
    kept = [trial for number, trial in whole.items() if number < 9 and number != 6]
    bench = Bench(machine)

    _, recorder, result = run(bench, {"trials": 14, "patience": 5}, earlier=kept)

    assert result.evaluated >= len(kept) + 1
    measured_again = {configuration for configuration, _ in bench.asked} & {trial.configuration for trial in kept}
    assert not measured_again
    assert {trial.number for trial in kept}.isdisjoint(recorder.begun)


def test_the_same_history_gives_the_same_next_proposals(machine: Machine) -> None:
    whole = run(Bench(machine), {"trials": 12})[1].latest
    bench = Bench(machine)

    run(bench, {"trials": 12}, earlier=[whole[number] for number in range(7)])

    assert [configuration for configuration, _ in bench.asked] == [whole[n].configuration for n in range(7, 12)]


def test_failures_of_an_earlier_job_are_not_walked_into_again(machine: Machine) -> None:
    memory = Notebook()
    run(Bench(machine), {"trials": 30}, memory=memory)
    fresh, taught = Bench(machine), Bench(machine)

    run(fresh, {"trials": 12})
    found, _, _ = run(taught, {"trials": 12}, memory=memory)

    assert found.lessons == 30
    assert _failures(taught) <= _failures(fresh)


def _failures(bench: Bench) -> int:
    fits = dict(zip(bench.machine.configurations, bench.machine.fits, strict=True))
    return sum(not fits[configuration] for configuration, _ in bench.asked)


def test_a_lost_measurement_is_a_result_with_its_reason_and_the_search_goes_on(machine: Machine) -> None:
    bench = Bench(machine, loses=1)

    found, recorder, _ = run(bench, {"trials": 6})

    lost = [t for t in recorder.latest.values() if t.failure is not None and t.failure.kind is FailureKind.LOST]
    assert len(lost) == 1
    assert len(bench.asked) == 6
    assert found.stopped == "the budget of trials is used up"


def test_the_minutes_before_a_cut_count_too(machine: Machine) -> None:
    took = {"start_seconds": 120.0, "window_seconds": 120.0}
    kept = [replace(t, details=took) for t in run(Bench(machine), {"trials": 2})[1].latest.values()]
    bench = Bench(machine, in_real_time=True)

    found, _, result = run(bench, {"minutes": 10}, earlier=kept)

    assert bench.asked == []
    assert found.stopped == "the budget of minutes is used up"
    assert result.evaluated == 2


def test_who_waits_hears_what_the_measurements_are_at_and_nothing_twice(machine: Machine) -> None:
    _, recorder, _ = run(Bench(machine), {"trials": 5})

    assert recorder.activities
    assert all(one != other for one, other in pairwise(recorder.activities))
    assert str(recorder.activities[-1]).startswith("at the bench")
