"""How far a table is predicted: a bar on a terminal, a line now and then elsewhere; always on standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from service.cli.figures import seconds

LINE_SECONDS: Final = 10.0


@contextmanager
def shown_progress(rows: int) -> Iterator[Callable[[int, int], None]]:
    """A function that shows how many of all rows are done, and about how long the others take."""
    started = time.monotonic()
    if not sys.stderr.isatty():
        yield LineProgress(lambda line: print(line, file=sys.stderr, flush=True), started)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed} of {task.total}"),
    )
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("predicting rows", total=rows)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class LineProgress:
    """A line every `LINE_SECONDS`: rows done, rows in all, time left."""

    def __init__(
        self, write: Callable[[str], None], started: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._started = started
        self._next = started + LINE_SECONDS

    def __call__(self, done: int, total: int) -> None:
        """Writes a line when it is time for one."""
        now = self._clock()
        if now < self._next or not done or done >= total:
            return
        self._next = now + LINE_SECONDS
        left = (now - self._started) / done * (total - done)
        self._write(f"predicting: {done:,} of {total:,} rows, {seconds(left)} left")
