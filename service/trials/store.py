"""Trials in the database: written in bulk, read by page or by number."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Insert, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.database.models import TrialRow
from tuner.configuration import Configuration
from tuner.metrics import Provenance
from tuner.trial import Failure, FailureKind, Trial, TrialState

WRITE_ROWS: Final = 5_000
"""Rows that one statement writes."""
READ_NUMBERS: Final = 1_000
"""Trial numbers that one statement asks for."""

_DEFAULT: Final = ""
_TABLE: Final = TrialRow.__table__


def put(session: Session, job_id: str, trials: Sequence[Trial]) -> None:
    """Writes trials of a job; one that is there already (a figure was refined) is replaced."""
    connection = session.connection()
    statement = _upsert(connection.dialect.name)
    for start in range(0, len(trials), WRITE_ROWS):
        connection.execute(statement, [_row(job_id, trial) for trial in trials[start : start + WRITE_ROWS]])


def remove_all(session: Session, job_id: str) -> None:
    """Removes every trial of a job."""
    session.execute(delete(TrialRow).where(TrialRow.job_id == job_id))


def remove_running(session: Session, job_id: str) -> None:
    """Removes the trials of a job that have not ended."""
    session.execute(delete(TrialRow).where(TrialRow.job_id == job_id, TrialRow.state == TrialState.RUNNING.value))


def all_of(session: Session, job_id: str) -> list[Trial]:
    """Every trial of a job, by number."""
    query = select(TrialRow).where(TrialRow.job_id == job_id).order_by(TrialRow.number)
    return [_stored(row) for row in session.scalars(query)]


def find(session: Session, job_id: str, number: int) -> Trial | None:
    """One trial of a job."""
    row = session.get(TrialRow, (job_id, number))
    return _stored(row) if row is not None else None


def find_many(session: Session, job_id: str, numbers: Iterable[int]) -> list[Trial]:
    """The trials of these numbers, by number; numbers without a trial are left out."""
    wanted = sorted(set(numbers))
    found: list[Trial] = []
    for start in range(0, len(wanted), READ_NUMBERS):
        query = select(TrialRow).where(
            TrialRow.job_id == job_id, TrialRow.number.in_(wanted[start : start + READ_NUMBERS])
        )
        found += [_stored(row) for row in session.scalars(query.order_by(TrialRow.number))]
    return found


def in_depth(session: Session, job_id: str) -> list[Trial]:
    """The trials with figures beyond the screening, by number: those that any price could bring to the frontier."""
    query = select(TrialRow).where(
        TrialRow.job_id == job_id,
        TrialRow.screened.is_(False),
        TrialRow.state.in_([TrialState.COMPLETE.value, TrialState.INFEASIBLE.value]),
    )
    return [_stored(row) for row in session.scalars(query.order_by(TrialRow.number))]


def page(session: Session, job_id: str, state: TrialState | None, after: int | None, limit: int) -> list[Trial]:
    """At most `limit` trials with a number above `after`, by number."""
    query = select(TrialRow).where(TrialRow.job_id == job_id)
    if state is not None:
        query = query.where(TrialRow.state == state.value)
    if after is not None:
        query = query.where(TrialRow.number > after)
    return [_stored(row) for row in session.scalars(query.order_by(TrialRow.number).limit(limit))]


def compact(metrics: Mapping[str, float], provenance: Mapping[str, Provenance]) -> dict[str, str | None]:
    """Provenance as the most common one under `""` and the exceptions by metric; null marks a metric without."""
    if not provenance:
        return {}
    default = Counter(provenance.values()).most_common(1)[0][0]
    packed: dict[str, str | None] = {_DEFAULT: default.value}
    packed.update((key, found.value) for key, found in provenance.items() if found is not default or key not in metrics)
    packed.update((key, None) for key in metrics if key not in provenance)
    return packed


def expand(metrics: Mapping[str, float], packed: Mapping[str, str | None]) -> dict[str, Provenance]:
    """The provenance that `compact` packed."""
    default = packed.get(_DEFAULT)
    full: dict[str, str | None] = dict.fromkeys(metrics, default)
    full.update((key, value) for key, value in packed.items() if key != _DEFAULT)
    return {key: Provenance(value) for key, value in full.items() if value is not None}


def _upsert(dialect: str) -> Insert:
    insert = postgresql.insert(TrialRow) if dialect == "postgresql" else sqlite.insert(TrialRow)
    keys = [column.name for column in _TABLE.primary_key]
    changed = {column.name: insert.excluded[column.name] for column in _TABLE.columns if column.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=changed)


def _row(job_id: str, trial: Trial) -> dict[str, object]:
    failure = trial.failure
    return {
        "job_id": job_id,
        "number": trial.number,
        "state": trial.state.value,
        "configuration": trial.configuration.to_dict(),
        "metrics": trial.metrics,
        "provenance": compact(trial.metrics, trial.provenance),
        "failure_kind": failure.kind.value if failure else None,
        "failure_detail": failure.detail if failure else None,
        "log_tail": trial.log_tail,
        "screened": trial.screened,
        "measured_share": trial.measured_share,
        "reason": trial.reason,
        "intervals": {metric: list(ends) for metric, ends in trial.intervals.items()} or None,
        "details": trial.details,
    }


def _stored(row: TrialRow) -> Trial:
    failure = None
    if row.failure_kind is not None:
        failure = Failure(FailureKind(row.failure_kind), row.failure_detail or "")
    return Trial(
        number=row.number,
        configuration=Configuration.from_dict(row.configuration),  # type: ignore[arg-type]
        state=TrialState(row.state),
        metrics=row.metrics,
        provenance=expand(row.metrics, row.provenance),
        failure=failure,
        screened=row.screened,
        measured_share=row.measured_share,
        reason=row.reason,
        intervals={metric: (low, high) for metric, (low, high) in (row.intervals or {}).items()},
        details=row.details,
        log_tail=row.log_tail,
    )
