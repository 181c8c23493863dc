"""Replays a table alone: every row is a measurement, in the order of the file."""

from collections.abc import Callable

from tuner.search.bookkeeping import Bookkeeping
from tuner.search.waiting import CancelledStudyError
from tuner.space.replay_table import ReplayTable


def replay(table: ReplayTable, books: Bookkeeping, cancelled: Callable[[], bool]) -> None:
    """Takes every row of the table as a trial; raises `CancelledStudyError` when the study is cancelled."""
    books.plan(len(table.rows))
    for configuration, measurement in table.rows:
        if cancelled():
            raise CancelledStudyError
        books.measured(configuration, measurement)
