"""`paretune submit`: a job for a service that is running."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from service.cli.output import AsJson
from service.cli.remote import DEFAULT_URL, Url

if TYPE_CHECKING:
    from service.client import JobAnswer, ServiceClient

MOST_POLL_SECONDS: Final = 2.0


def submit(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="Job spec, YAML or JSON.", show_default=False)],
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key and spec give the same job.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the job to end, and show its results.")] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Submit a job; its id is printed on standard output."""
    from service.cli.output import print_json
    from service.client import ServiceClient
    from tuner.spec_file import load_spec

    loaded = load_spec(spec)
    with ServiceClient(url) as client:
        job = client.submit(loaded.model_dump(mode="json"), idempotency_key)
        if wait:
            _wait(client, job, as_json=as_json)
        elif as_json:
            print_json(job)
        else:
            typer.echo(job["id"])


def _wait(client: "ServiceClient", job: "JobAnswer", *, as_json: bool) -> None:
    from service.cli.errors import NoFeasibleError
    from service.cli.output import print_json
    from service.cli.results import Results, count_failures
    from service.cli.showing import show_results
    from service.cli.summary import infeasible
    from service.cli.waiting import succeeded, wait_for

    typer.echo(f"paretune: job {job['id']}", err=True)
    job = succeeded(wait_for(client, job, lambda: None, MOST_POLL_SECONDS))
    results = Results.read(client, job)
    if as_json:
        print_json(results.document())
    elif results.frontier["points"]:
        show_results(results, None)
    if not results.frontier["points"]:
        raise NoFeasibleError(infeasible(job, count_failures(client, job["id"])))
