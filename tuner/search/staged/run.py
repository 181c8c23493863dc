"""Runs a measuring job: what is known before, the measurements, and what they teach."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from tuner.configuration import Configuration
from tuner.errors import SpecError
from tuner.evaluators.pool import EvaluationPool
from tuner.evaluators.source import MeasurementSource
from tuner.search.measured_books import MeasuredBooks
from tuner.search.memory import Memory, NoMemory
from tuner.search.staged.account import Account
from tuner.search.staged.findings import accuracy, drift, predictions
from tuner.search.staged.flight import Flight
from tuner.search.staged.history import Goal, Observation
from tuner.search.staged.learned import Scope, corrections, taught
from tuner.search.staged.loop import Loop
from tuner.search.staged.policy import Policy
from tuner.search.staged.prices import Timing, row_prices
from tuner.search.staged.prior import blind_landscape, simulated_landscape
from tuner.search.staged.sampler import StagedSampler
from tuner.search.staged.stopping import Limits
from tuner.search.study import Findings
from tuner.space.hardware import find_gpu
from tuner.space.lengths import lengths_of
from tuner.space.models import model_shape
from tuner.spec import EvaluatorName, JobSpec
from tuner.trial import Trial

DEFAULT_TRIALS: Final = 64
"""Measurements at most, where the budget names no limit at all."""


def run_staged(
    spec: JobSpec,
    rows: Sequence[Configuration],
    source: MeasurementSource,
    books: MeasuredBooks,
    memory: Memory,
    pool: EvaluationPool | None,
    cancelled: Callable[[], bool],
    earlier: Sequence[Trial] = (),
    reference: int | None = None,
) -> Findings:
    """Measures by the policy until the budget, the plateau or the space ends; the findings say which.

    Without a `pool` nothing is simulated. `earlier`: trials of the same job before it was cut short. `reference`: the
    row that is measured first and last, which shows drift and gives the default's figures. Raises
    `CancelledStudyError` when the study is cancelled, and what `source` and `memory` raise.
    """
    limits, goal = limits_of(spec), Goal(tuple(o.metric for o in spec.objectives), spec.constraints)
    expected = Timing.of(source.expected)
    prices = row_prices(rows, expected, limits)
    if pool is None:
        landscape = blind_landscape(rows, goal, prices)
    else:
        landscape = simulated_landscape(spec, rows, goal, prices, pool, cancelled)
    if spec.workload.shared_prefix:
        memory = NoMemory()  # the simulator does not see prefixes: how far it is off here says nothing of other loads
    known = memory.recall(_scopes(spec, source)) if spec.reuse == "learned" else ()
    lengths = lengths_of(spec.workload)
    landscape = taught(landscape, rows, known, lengths.input_mean, lengths.output_mean)

    def learn(trial: int, observation: Observation) -> None:
        for found in corrections(landscape, rows, [observation], lengths.input_mean, lengths.output_mean):
            memory.keep(_scope(spec, source, rows[observation.row].engine, rows[observation.row].gpu), trial, found)

    sampler = StagedSampler(Policy(landscape, goal, spec.seed, source.most_repeats))
    account = Account(limits, expected, time.monotonic if source.in_real_time else None)
    loop = Loop(rows, source, sampler, account, books, learn)
    loop.take_up(earlier, reference)
    books.plan(min(limits.trials or len(rows), len(rows) * source.most_repeats), account.seconds_left)
    with Flight(source, cancelled, books.doing) as flight:
        before = loop.first_of(flight, reference) if reference is not None else None
        stopped = loop.search(flight)
        loop.confirm(flight)
        after = loop.last_of(flight, reference) if reference is not None and before is not None else None
    return Findings(
        stopped,
        len(known),
        accuracy(landscape, loop.observations, sampler.reasons),
        predictions(landscape, goal, rows, loop.observations) if landscape.log_priors else (),
        drift(before, after, goal.metrics) if before is not None and after is not None else (),
    )


def limits_of(spec: JobSpec) -> Limits:
    """The budget of a job in hard terms; a staged one that names none has `DEFAULT_TRIALS`."""
    budget = spec.budget
    unlimited = budget.trials is None and budget.minutes is None and budget.gpu_hours is None
    trials = DEFAULT_TRIALS if unlimited and spec.evaluator is EvaluatorName.STAGED else budget.trials
    return Limits(trials, budget.minutes, budget.gpu_hours, budget.patience)


def _scopes(spec: JobSpec, source: MeasurementSource) -> list[Scope]:
    return [_scope(spec, source, engine.value, gpu) for engine in spec.engine for gpu in spec.hardware.gpu]


def _scope(spec: JobSpec, source: MeasurementSource, engine: str, gpu: str) -> Scope:
    version = " ".join(part for part in (engine, source.place.engine_version) if part)
    return Scope(_family(spec.model), _gpu(gpu), version, source.place.driver)


def _family(model: str) -> str:
    """Models of one architecture and size are one family, so that a fine-tune learns from its base."""
    try:
        shape = model_shape(model)
    except SpecError:
        return model
    return f"{shape.family} {shape.layers}x{shape.hidden_size}"


def _gpu(name: str) -> str:
    try:
        return find_gpu(name).name
    except SpecError:
        return name
