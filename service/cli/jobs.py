"""`paretune jobs`: what a service has to do, and what it has done."""

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.output import AsJson
from service.cli.remote import DEFAULT_URL, Url

if TYPE_CHECKING:
    from rich.table import Table

    from service.client import JobAnswer


def jobs(
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="queued, running, succeeded, failed or cancelled.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Only jobs for this model.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to list.")] = 20,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    from service.cli.output import print_json, stdout_console
    from service.client import ServiceClient

    with ServiceClient(url) as client:
        found = list(islice(client.jobs(state, model), limit))
    if as_json:
        print_json(found)
    elif found:
        stdout_console().print(_table(found))
    else:
        typer.echo("no jobs")


def _table(found: "list[JobAnswer]") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("job", "state", "evaluated", "submitted", "name"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "evaluated" else "left")
    table.add_column("model", overflow="fold")
    for job in found:
        progress = job["progress"]
        evaluated = f"{progress['evaluated']:,} / {progress['planned']:,}"
        submitted = job["created_at"][:16].replace("T", " ")
        table.add_row(job["id"], job["state"], evaluated, submitted, job["name"] or "", str(job["spec"].get("model")))
    return table
