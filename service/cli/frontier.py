"""`paretune frontier`: the frontier of a job, also while it runs."""

import typer

from service.cli.output import AsJson
from service.cli.remote import DEFAULT_URL, JobId, Url


def frontier(job: JobId, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show the frontier of a job, also while it runs."""
    from service.cli.output import print_json, stdout_console
    from service.cli.showing import show_frontier
    from service.client import ServiceClient

    with ServiceClient(url) as client:
        found = client.frontier(job)
        if as_json:
            print_json(found)
            return
        picks = client.recommendations(job) if found["points"] else {}
    if not found["points"]:
        typer.echo("The frontier is empty so far; `paretune status` says how far the job is.")
        return
    show_frontier(stdout_console(), found, picks, [], whole="--json")
    named = ", ".join(f"{name} {trial['number']}" for name, trial in picks.items())
    typer.echo(f"Recommended: {named}")
