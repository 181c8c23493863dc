"""The one job of a worker that `tune` starts is taken up where it was cut short, and what nobody takes up goes."""

from datetime import datetime, timedelta
from typing import Final

from service.database.session import Database
from service.jobs import store as jobs
from service.workers import lease as leases

KEPT: Final = timedelta(days=30)
"""How long a job that was cut short is kept for a run that goes on with it."""


def take_up(database: Database, key: str, now: datetime) -> None:
    """Queues the job of a key again, whatever became of its last worker, and removes other runs' jobs that are old."""
    with database.write() as session:
        leases.take_up(session, key)
        jobs.remove_idle(session, now - KEPT, except_key=key)
