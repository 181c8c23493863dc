"""Ends what a paretune that was killed left behind: found by its own records, never by name."""

import logging
import time
from dataclasses import dataclass
from typing import Final

from tuner.engines.members import end_members, members
from tuner.engines.records import Ledger, Record
from tuner.engines.stop_command import run_stop
from tuner.identity import is_alive, this_machine

_LOG = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 5.0
_PART_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Swept:
    """A run that was left: its record, how many of its processes were found alive, and those that would not end."""

    record: Record
    found: int
    stuck: tuple[int, ...]


def sweep(ledger: Ledger, grace_seconds: float = _GRACE_SECONDS) -> list[Swept]:
    """Ends the processes and removes the files of runs whose owner is gone; to be called before the first start.

    Runs of an owner that lives are left alone, this process's included, and so are those of another machine or
    container that shares the data directory. Two sweeps at once do no harm. A run with a process that cannot be ended
    stays on record.
    """
    left = [record for record in ledger.records() if record.machine == this_machine() and not is_alive(record.owner)]
    swept = [_end(ledger, record, grace_seconds) for record in left]
    ledger.remove_parts(older_than=time.time() - _PART_SECONDS)
    return swept


def _end(ledger: Ledger, record: Record, grace_seconds: float) -> Swept:
    found = len(members(record.run, record.keeper))
    stuck = tuple(end_members(record.run, record.keeper, grace_seconds))
    run_stop(record.stop)
    if not stuck:
        for path in record.files:
            path.unlink(missing_ok=True)
        ledger.remove(record.run)
    _LOG.warning("ended a run of %s that was left behind: %d processes found", record.engine, found)
    return Swept(record, found, stuck)
