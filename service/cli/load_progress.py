"""Shows how far a load is: one line that is written anew on a terminal, and a line for each phase elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.cli.progress import bar
from tuner.load.result import Progress, Standing


@contextmanager
def shown_load() -> Iterator[Progress]:
    """Where a load tells how far it is, on standard error.

    The line is drawn when the load says something, never by a thread of its own, which would make tokens wait.
    """
    if not sys.stderr.isatty():
        yield phase_lines(lambda line: print(line, file=sys.stderr, flush=True))
        return
    progress = bar(auto_refresh=False)
    task = progress.add_task("probing", total=None, note="")

    def show(standing: Standing) -> None:
        progress.update(
            task,
            description=standing.phase,
            total=standing.most_seconds,
            completed=min(standing.seconds, standing.most_seconds),
            note=note_of(standing),
            refresh=True,
        )

    with progress:
        yield show


def phase_lines(write: Callable[[str], None]) -> Progress:
    """Writes a line whenever a phase begins."""
    seen: list[str] = []

    def show(standing: Standing) -> None:
        if standing.phase not in seen:
            seen.append(standing.phase)
            write(standing.phase)

    return show


def note_of(standing: Standing) -> str:
    """How far it is: `12 of at most 60 s, 340 requests, 16 in flight, exact to 4.1 %`."""
    parts = [
        f"{standing.seconds:.0f} of at most {standing.most_seconds:.0f} s",
        f"{standing.whole:,} requests",
        f"{standing.in_flight} in flight",
    ]
    if standing.failed:
        parts.append(f"{standing.failed} failed")
    if standing.half_width is not None:
        parts.append(f"exact to {standing.half_width:.1%}")
    return ", ".join(parts)
