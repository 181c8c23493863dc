"""Keeps a lease alive while its job runs, and hears when the job is to stop."""

import logging
import threading
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from sqlalchemy.exc import SQLAlchemyError

from service.database.session import Database
from service.dependencies import Clock
from service.errors import LeaseLost
from service.workers import lease as leases
from service.workers.lease import LEASE, Lease

POLL_SECONDS: Final = 0.1
"""How often the database is asked whether the job is to stop."""
RENEW_SECONDS: Final = LEASE.total_seconds() / 3

_log = logging.getLogger(__name__)


class Heartbeat:
    """A thread that renews one lease; a context manager that ends it.

    `lost` is set when the lease is another worker's, or could not be renewed in time; `cancel_requested` when the
    user asked the job to stop.
    """

    def __init__(self, database: Database, lease: Lease, clock: Clock) -> None:
        self.lost = threading.Event()
        self.cancel_requested = threading.Event()
        self._database = database
        self._lease = lease
        self._clock = clock
        self._renewed = clock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{lease.job_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(POLL_SECONDS) and not self.lost.is_set():
            now = self._clock()
            try:
                self._look(now)
            except LeaseLost:
                self.lost.set()
            except SQLAlchemyError as error:
                _log.warning("job %s: cannot renew its lease: %s", self._lease.job_id, error)
                if now - self._renewed >= LEASE:
                    self.lost.set()

    def _look(self, now: datetime) -> None:
        if (now - self._renewed).total_seconds() >= RENEW_SECONDS:
            with self._database.write() as session:
                leases.renew(session, self._lease, now)
            self._renewed = now
        with self._database.read() as session:
            if leases.cancel_requested(session, self._lease):
                self.cancel_requested.set()
