"""Replays a table alone: every row is a measurement, in the order of the file."""

from collections.abc import Callable
from typing import Final

from tuner.search.measured_books import MeasuredBooks
from tuner.search.waiting import CancelledStudyError
from tuner.space.replay_table import ReplayTable

_ROWS_AT_A_TIME: Final = 200


def replay(table: ReplayTable, books: MeasuredBooks, cancelled: Callable[[], bool]) -> None:
    """Takes every row of the table as a trial; raises `CancelledStudyError` when the study is cancelled."""
    books.plan(len(table.rows))
    for start in range(0, len(table.rows), _ROWS_AT_A_TIME):
        if cancelled():
            raise CancelledStudyError
        books.replayed(table.rows[start : start + _ROWS_AT_A_TIME])
