"""The entry point: runs a command, and turns whatever happens into lines on standard error and an exit code.

Nothing slow is imported here, so that a Ctrl-C in the first tenth of a second is as quiet as any later one.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from service.cli.interrupts import Interrupted, become_interruptible


def main() -> NoReturn:
    """Runs the command that the process's arguments name, and exits."""
    code = 1
    try:
        become_interruptible()
        code = run(sys.argv[1:])
        _flush()
    except Interrupted:
        _say(["interrupted; everything that was started is stopped"])
    _leave(code)


def run(arguments: Sequence[str]) -> int:
    """Runs one command and gives its exit code."""
    import typer

    from service.cli.app import app

    try:
        code = app(args=list(arguments), prog_name="paretune", standalone_mode=False)
    except typer.TyperException as error:
        return _usage_error(error)
    except BrokenPipeError:
        return 1
    except Exception as error:  # noqa: BLE001 - the last resort: one line for the user, the traceback into a file
        return _failed(error)
    return code if isinstance(code, int) else 0


def _usage_error(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "paretune"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    text = " ".join(message.split()).rstrip(".")
    if not text or type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(message + "\n")
    else:
        _say([f"{text}; `{command} --help` shows what there is"])
    return 2


def _failed(error: Exception) -> int:
    if os.environ.get("PARETUNE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    from service.cli.errors import outcome_of

    outcome = outcome_of(error)
    if outcome is None:
        from service.cli.crash import crash_lines

        _say(crash_lines(error))
        return 1
    _say(outcome.lines)
    return outcome.exit_code.value


def _say(lines: Sequence[str]) -> None:
    with suppress(OSError, ValueError):
        for line in lines:
            sys.stderr.write(f"paretune: {line}\n")
        sys.stderr.flush()


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(code: int) -> NoReturn:
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    sys.exit(code)
