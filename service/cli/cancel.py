"""`paretune cancel`: stops a job."""

import typer

from service.cli.output import AsJson
from service.cli.remote import DEFAULT_URL, JobId, Url


def cancel(job: JobId, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Stop a queued or running job; what it has found stays."""
    from service.cli.output import print_json
    from service.client import ServiceClient

    with ServiceClient(url) as client:
        found = client.cancel(job)
    if as_json:
        print_json(found)
    elif found["state"] == "cancelled":
        typer.echo(f"job {found['id']}: cancelled")
    else:
        typer.echo(f"job {found['id']}: asked to stop")
