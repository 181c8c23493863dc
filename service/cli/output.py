"""Where commands write: JSON or tables on standard output."""

import json
import shutil
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

MOST_WIDTH: Final = 120
LEAST_WIDTH: Final = 80
PLAIN_WIDTH: Final = 120
"""Width where standard output is no terminal."""

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on standard output.")]


def print_json(data: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def stdout_console() -> "Console":
    """A console of a width that tables are made for."""
    from rich.console import Console

    width = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
    return Console(width=min(max(width, LEAST_WIDTH), MOST_WIDTH), highlight=False, markup=False, soft_wrap=False)


def print_json_line(data: object) -> None:
    """One JSON document on one line, at once: for those that read while the command runs."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()
