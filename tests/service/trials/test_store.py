"""Trials are packed without loss, and written fast enough for sweeps of 200,000."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from service.database.session import Database
from service.trials.store import compact, expand, put
from tuner.metrics import METRICS, Provenance
from tuner.trial import Trial

KEYS = st.sampled_from(sorted(METRICS))


@given(st.dictionaries(KEYS, st.just(1.0)), st.dictionaries(KEYS, st.sampled_from(Provenance)))
def test_provenance_survives_packing(metrics: dict[str, float], provenance: dict[str, Provenance]) -> None:
    assert expand(metrics, compact(metrics, provenance)) == provenance


def test_provenance_that_is_the_same_throughout_takes_one_entry() -> None:
    metrics = dict.fromkeys(METRICS, 1.0)

    assert compact(metrics, dict.fromkeys(METRICS, Provenance.SIMULATED)) == {"": "simulated"}


def test_ten_thousand_trials_are_written_by_a_handful_of_statements(
    database: Database, submitted: Callable[..., str], complete: Callable[..., Trial]
) -> None:
    job = submitted()
    metrics = {key: 1.0 / (place + 3) for place, key in enumerate(METRICS)}
    batch = [replace(complete(number), metrics=metrics) for number in range(10_000)]
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    with database.write() as session:
        put(session, job, batch)

    assert 0 < len(statements) < 10
