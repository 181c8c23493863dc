"""Runs a program that makes an artefact: under a keeper, on record, called off when asked, with its log kept."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuner.engines.base import Cancelled
from tuner.engines.environment import clean_environment
from tuner.engines.errors import BuildError, StartCancelledError
from tuner.engines.failures import FailurePattern, ending, named_by, quoted
from tuner.engines.kept_process import KeptProcess
from tuner.engines.log import searched
from tuner.engines.records import Ledger, Record
from tuner.engines.stop_command import run_stop

_LOOK_SECONDS: Final = 0.2
_GRACE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class BuildStep:
    """One program of a build; `arguments` with the program first. `stop` ends what is not a process of ours."""

    what: str
    arguments: tuple[str, ...]
    log: Path
    devices: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    patterns: tuple[FailurePattern, ...] = ()


def run_step(step: BuildStep, ledger: Ledger, cancelled: Cancelled) -> None:
    """Runs the program to its end.

    Raises `BuildError` when it fails, with what its log says; `StartCancelledError` when asked to stop.
    """
    record = Record.new(step.what, 0, stop=step.stop)
    seen = clean_environment(os.environ, {}, record.run, step.devices)
    step.log.parent.mkdir(parents=True, exist_ok=True)
    ledger.write(record)
    try:
        process = KeptProcess(step.arguments, seen, step.log, _GRACE_SECONDS)
        try:
            ledger.write(record.kept_by(process.identity))
            while process.exit_status is None:
                if cancelled():
                    raise StartCancelledError(f"{step.what} was called off")
                time.sleep(_LOOK_SECONDS)
        finally:
            process.end()
            run_stop(step.stop)
    finally:
        ledger.remove(record.run)
    status = process.exit_status
    if status:
        raise BuildError(f"{step.what} {ending(status)}: {_reason(step)}; its log: {step.log}")


def _reason(step: BuildStep) -> str:
    log = searched(step.log)
    named = named_by(step.patterns, log)
    if named is not None:
        return named.detail
    return quoted(next((line for line in reversed(log.splitlines()) if line.strip()), "it wrote nothing"))
