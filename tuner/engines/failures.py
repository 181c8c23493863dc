"""Names a failure from what the engine's log says and how its process ended."""

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tuner.trial import Failure, FailureKind

MOST_DETAIL: Final = 400
"""Longest quoted line of a log, in characters."""

_ANSI: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class FailurePattern:
    """A text that a log holds when something failed, and the kind of that failure.

    `expression` is searched in each line. `is_final`: a server that says so never becomes ready, though its process
    may go on; one that is not final is only believed once the process is gone. `mend`: what to do, after the line.
    """

    kind: FailureKind
    expression: re.Pattern[str]
    is_final: bool = False
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: its status (negative: the signal's number), and whether the kernel ran out of memory."""

    status: int
    kernel_out_of_memory: bool = False


def pattern(kind: FailureKind, expression: str, *, is_final: bool = False, mend: str = "") -> FailurePattern:
    """A pattern of a regular expression; letter case does not count."""
    return FailurePattern(kind, re.compile(expression, re.IGNORECASE), is_final, mend)


def named_by(patterns: Iterable[FailurePattern], log: str) -> Failure | None:
    """The failure that a log names, with the line that says so; the first pattern of the table wins."""
    lines = log.splitlines()
    for known in patterns:
        for line in lines:
            if known.expression.search(line):
                return Failure(known.kind, f"{quoted(line)}; {known.mend}" if known.mend else quoted(line))
    return None


def final_failure(patterns: Iterable[FailurePattern], log: str) -> Failure | None:
    """The failure after which a server that still runs never becomes ready; `None` when its log tells of none."""
    return named_by([known for known in patterns if known.is_final], log)


def failure_of_exit(patterns: Iterable[FailurePattern], log: str, ended: Exit, phase: str) -> Failure:
    """Why a process is gone; `phase` says when (`before it was ready`)."""
    if ended.kernel_out_of_memory and ended.status == -signal.SIGKILL:
        return Failure(FailureKind.OUT_OF_MEMORY, f"the kernel ran out of memory and killed the server {phase}")
    named = named_by(patterns, log)
    if named is not None:
        return named
    last = next((line for line in reversed(log.splitlines()) if line.strip()), "")
    said = f"; its last line: {quoted(last)}" if last else "; it wrote nothing"
    return Failure(FailureKind.CRASHED, f"the server {ending(ended.status)} {phase}{said}")


def ending(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    return f"was killed by signal {-status} ({name})"


def quoted(line: str) -> str:
    """A line of a log as a failure quotes it: without colours, and not endless."""
    plain = _ANSI.sub("", line).strip()
    return plain if len(plain) <= MOST_DETAIL else plain[: MOST_DETAIL - 1] + "…"
