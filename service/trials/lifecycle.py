"""What is read of a job's trials: pages, single ones, the frontier, the recommendations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.orm import Session

from service.database.models import JobRow
from service.database.session import Database
from service.errors import Conflict, InvalidRequest, NotFound
from service.jobs import store as jobs
from service.trials import store
from tuner.economics.cost import CostBreakdown, Tokens, cost_breakdown
from tuner.economics.repricing import changed_pricing, repriced
from tuner.errors import SpecError
from tuner.metrics import Objective
from tuner.space.lengths import lengths_of
from tuner.spec import JobSpec, parse_spec
from tuner.spec_problems import near
from tuner.trial import Measurement, Trial, TrialState

RECOMMENDATIONS: Final = ("cheapest", "greenest", "fastest", "balanced")


@dataclass(frozen=True, slots=True)
class StoredFrontier:
    """A job's frontier, sorted by the first objective; each write of the worker moves it as one."""

    objectives: tuple[Objective, ...]
    hypervolume: float | None
    points: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class Picked:
    """A trial, the job's spec, and the name or number it was picked by."""

    spec: JobSpec
    trial: Trial
    pick: str


def page(
    database: Database, job_id: str, state: TrialState | None, after: int | None, limit: int
) -> tuple[tuple[Objective, ...], Sequence[Trial]]:
    """The job's objectives, and at most `limit` of its trials above `after`; raises `NotFound`."""
    with database.read() as session:
        job = _job(session, job_id)
        return _objectives(job), store.page(session, job_id, state, after, limit)


def get(database: Database, job_id: str, number: int) -> tuple[tuple[Objective, ...], Trial]:
    """The job's objectives and one of its trials; raises `NotFound`."""
    with database.read() as session:
        job = _job(session, job_id)
        return _objectives(job), _trial(session, job, number)


def frontier(database: Database, job_id: str, prices: Mapping[str, float | str] | None = None) -> StoredFrontier:
    """The frontier of a job, also while it runs; with `prices`, as it would be at those.

    Raises `NotFound`, and `SpecError` for a price that is wrong.
    """
    with database.read() as session:
        job = _job(session, job_id)
        return _repriced_frontier(session, job, prices) if prices else _frontier(session, job)


def recommended(
    database: Database, job_id: str, prices: Mapping[str, float | str] | None = None
) -> tuple[tuple[Objective, ...], dict[str, Trial]]:
    """The job's objectives and its recommendations by name; with `prices`, as they would be at those.

    Raises `NotFound`, and `SpecError` for a price that is wrong.
    """
    found = frontier(database, job_id, prices)
    return found.objectives, _recommended(found)


def breakdown(database: Database, job_id: str, number: int) -> CostBreakdown | None:
    """The cost of one trial line by line; `None` where it is not known. Raises `NotFound`."""
    with database.read() as session:
        job = _job(session, job_id)
        trial, spec = _trial(session, job, number), parse_spec(job.spec)
    measured = Measurement(trial.metrics, trial.provenance, trial.failure)
    try:
        return cost_breakdown(measured, trial.configuration.gpu, _tokens(spec), spec.pricing)
    except SpecError:
        return None  # the trace that the lengths came from is gone


def pick(database: Database, job_id: str, wanted: str) -> Picked:
    """The trial that a recommendation's name or a number stands for.

    Raises `NotFound` for the job or a number, `InvalidRequest` for a word that is no recommendation, and `Conflict`
    for a recommendation that the job does not have (yet).
    """
    with database.read() as session:
        job = _job(session, job_id)
        spec = parse_spec(job.spec)
        if wanted.isascii() and wanted.isdigit() and len(wanted) < 10:
            return Picked(spec, _trial(session, job, int(wanted)), wanted)
        if wanted not in RECOMMENDATIONS:
            raise InvalidRequest.of(
                "pick", f"{wanted!r} is neither a trial number nor a recommendation; {near(wanted, RECOMMENDATIONS)}"
            )
        found = _recommended(_frontier(session, job))
    if wanted not in found:
        raise Conflict(f"job {job_id} has no {wanted} point: {_why_none(job)}")
    return Picked(spec, found[wanted], wanted)


def _why_none(job: JobRow) -> str:
    if job.state in ("queued", "running"):
        return f"it is {job.state}; wait until it has found one"
    if not job.frontier:
        return "no trial met every constraint; loosen one (the job's `misses` says which) and submit it again"
    return "no point of the frontier has that metric; pick another or a trial number"


def _job(session: Session, job_id: str) -> JobRow:
    job = jobs.find(session, job_id)
    if job is None:
        raise NotFound(f"there is no job {job_id!r}; GET /v1/jobs lists those there are")
    return job


def _trial(session: Session, job: JobRow, number: int) -> Trial:
    trial = store.find(session, job.id, number)
    if trial is None:
        raise NotFound(f"job {job.id} has no trial {number}; GET /v1/jobs/{job.id}/trials lists those there are")
    return trial


def _objectives(job: JobRow) -> tuple[Objective, ...]:
    return parse_spec(job.spec).objectives


def _frontier(session: Session, job: JobRow) -> StoredFrontier:
    objectives = _objectives(job)
    first = objectives[0].metric
    points = store.find_many(session, job.id, job.frontier)
    ordered = sorted(points, key=lambda point: (point.metrics[first], point.number))
    return StoredFrontier(objectives, job.hypervolume, tuple(ordered))


def _repriced_frontier(session: Session, job: JobRow, prices: Mapping[str, float | str]) -> StoredFrontier:
    """The frontier at other prices, over every trial with figures beyond the screening."""
    from tuner.frontier import Frontier
    from tuner.search.judge import Judge

    spec = parse_spec(job.spec)
    pricing = changed_pricing(spec.pricing, prices)
    judge, front = Judge(spec.constraints, spec.objectives), Frontier(spec.objectives)
    known = {trial.number: trial for trial in store.in_depth(session, job.id)}
    trials = repriced(list(known.values()), _tokens(spec), pricing)
    front.add([judge.trial(t.number, t.configuration, Measurement(t.metrics, t.provenance)) for t in trials])
    first = spec.objectives[0].metric
    ordered = sorted(front.trials, key=lambda trial: (trial.metrics[first], trial.number))
    points = tuple(replace(known[t.number], state=t.state, metrics=t.metrics, provenance=t.provenance) for t in ordered)
    return StoredFrontier(spec.objectives, None, points)


def _tokens(spec: JobSpec) -> Tokens:
    lengths = lengths_of(spec.workload)
    return Tokens(lengths.input_mean, lengths.output_mean)


def _recommended(found: StoredFrontier) -> dict[str, Trial]:
    from tuner.frontier import recommendations

    by_number = {point.number: point for point in found.points}
    names = recommendations(found.points, found.objectives)
    return {name: by_number[number] for name, number in names.items()}
