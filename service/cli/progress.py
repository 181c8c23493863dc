"""Shows how far a job is: a bar on a terminal, and a line now and then elsewhere; always on standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from service.cli.figures import seconds
from service.client.answers import FINAL_STATES, JobAnswer

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_SECONDS: Final = 10.0
"""How often a line is written where there is no terminal."""


class Display(Protocol):
    """Where progress is shown."""

    def show(self, job: JobAnswer) -> None:
        """Shows where a job stands."""


@contextmanager
def display() -> Iterator[Display]:
    """A bar when standard error is a terminal, else lines."""
    if not sys.stderr.isatty():
        yield LineDisplay(lambda line: print(line, file=sys.stderr, flush=True))
        return
    with bar() as progress:
        yield BarDisplay(progress)


def bar(*, auto_refresh: bool = True) -> "Progress":
    """A bar on standard error with a description before it and a `note` behind; it goes with its end."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=auto_refresh,
    )


class BarDisplay:
    """A bar of Rich with what was evaluated, the frontier's size and the time left."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None, note="")

    def show(self, job: JobAnswer) -> None:
        """Moves the bar."""
        done = job["progress"]["evaluated"]
        self._progress.update(
            self._task,
            description=words_of(job),
            total=(job["progress"]["planned"] or None) if done else None,
            completed=done,
            note=note_of(job),
        )


class LineDisplay:
    """A line when the state changes, and every `LINE_SECONDS`."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._shown: str | None = None
        self._next = 0.0

    def show(self, job: JobAnswer) -> None:
        """Writes a line when there is something new to say."""
        words = words_of(job)
        if words == self._shown and self._clock() < self._next:
            return
        self._shown = words
        self._next = self._clock() + LINE_SECONDS
        self._write(": ".join(part for part in (words, note_of(job)) if part))


def words_of(job: JobAnswer) -> str:
    """What the job does at the moment."""
    if job["state"] == "running":
        if job["progress"]["evaluated"]:
            return "evaluating"
        return "starting the engine" if job["spec"].get("evaluator") == "measure" else "loading the kernel data"
    return "waiting for a worker" if job["state"] == "queued" else job["state"]


def note_of(job: JobAnswer) -> str:
    """How far it is: `1200 of 2880, frontier 41, 3 s left`."""
    progress = job["progress"]
    activity = [progress["activity"]] if progress["activity"] else []
    if not progress["evaluated"]:
        return ", ".join([f"{progress['planned']:,} configurations", *activity]) if progress["planned"] else ""
    parts = [f"{progress['evaluated']:,} of {progress['planned']:,}", f"frontier {progress['frontier_size']}"]
    eta = progress["eta_seconds"]
    if eta is not None and job["state"] not in FINAL_STATES:
        parts.append(f"{seconds(eta)} left")
    return ", ".join([*parts, *activity])
