"""The memory of measuring jobs, kept in the database under the job's lease."""

from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from service.database.session import Database
from service.dependencies import Clock
from service.lessons import store
from service.workers import lease as leases
from service.workers.lease import Lease
from tuner.search.staged.learned import Correction, Scope

_CORRECTION: TypeAdapter[Correction] = TypeAdapter(Correction)


class LeasedMemory:
    """What one leased job remembers and recalls; writing raises `LeaseLost` once the lease is gone."""

    def __init__(self, database: Database, lease: Lease, clock: Clock) -> None:
        self._database, self._lease, self._clock = database, lease, clock

    def recall(self, scopes: Sequence[Scope]) -> Sequence[Correction]:
        """What earlier jobs learned there, by scope and then by time; what this version cannot read is left out."""
        with self._database.read() as session:
            found = [
                item for scope in scopes for item in store.find(session, _plain(scope), except_job=self._lease.job_id)
            ]
        return [correction for item in found if (correction := _read(item)) is not None]

    def keep(self, scope: Scope, trial: int, correction: Correction) -> None:
        """Keeps what a trial taught."""
        lesson = _CORRECTION.dump_python(correction, mode="json")
        with self._database.write() as session:
            leases.hold(session, self._lease)
            store.put(session, self._lease.job_id, trial, _plain(scope), lesson, self._clock())


def _plain(scope: Scope) -> store.Scope:
    return scope.model_family, scope.gpu, scope.engine_version, scope.driver


def _read(item: object) -> Correction | None:
    try:
        return _CORRECTION.validate_python(item)
    except ValidationError:
        return None
