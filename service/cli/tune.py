"""`paretune tune`: the whole path, from a spec to the files to deploy, on an embedded service."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from service.cli.output import AsJson

if TYPE_CHECKING:
    from service.cli.embedded import EmbeddedService
    from service.cli.results import Results
    from service.client import JobAnswer, ServiceClient
    from tuner.spec import JobSpec

MOST_POLL_SECONDS: Final = 0.3


def tune(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="Job spec, YAML or JSON.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for the results.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Measure anew what a run of the same spec that was cut short had measured.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a tuning job from start to end on this machine, and write what to deploy.

    A job that starts engines goes on where a run of the same spec was cut short. Exit code 3 when no configuration meets
    the constraints.
    """
    from service.cli.errors import NoFeasibleError
    from service.cli.folder import check_writable
    from tuner.spec_file import load_spec

    if out is not None:
        check_writable(out)
    loaded = load_spec(spec)
    if loaded.starts_engines:
        from service.cli.tune_measuring import tune_measuring

        reason = tune_measuring(loaded, out, fresh=fresh, as_json=as_json)
    else:
        reason = _tune(loaded, out, as_json=as_json)
    if reason is not None:
        raise NoFeasibleError(reason)


def finished(service: "EmbeddedService", client: "ServiceClient", job: "JobAnswer") -> "JobAnswer":
    """The job once it has ended; shows its progress. Raises `FailedError` when the service has ended before."""
    from service.cli.waiting import wait_for

    with watched(service):
        job = wait_for(client, job, service.check, MOST_POLL_SECONDS)
    if job["failure"] is not None and job["failure"]["kind"] == "internal":
        _keep(service)
    return job


def shown(client: "ServiceClient", job: "JobAnswer", out: Path | None, *, as_json: bool) -> str | None:
    """Writes and prints the results of a job; gives the reason when no configuration is feasible."""
    from service.cli.output import print_json
    from service.cli.results import Results
    from service.cli.showing import show_results
    from service.cli.summary import infeasible

    results = Results.read(client, job)
    failures = _written(client, results, out)
    if as_json:
        print_json(results.document())
    elif results.frontier["points"]:
        show_results(results, out)
    return None if results.frontier["points"] else infeasible(job, failures)


@contextmanager
def watched(service: "EmbeddedService") -> Iterator[None]:
    """Calls to a service: where it does not answer because a process has ended, that is the error."""
    from service.client import UnreachableError

    try:
        yield
    except UnreachableError:
        service.check()
        raise


def _tune(spec: "JobSpec", out: Path | None, *, as_json: bool) -> str | None:
    """Runs a job that starts no engine; gives the reason when no configuration is feasible."""
    from service.cli.embedded import EmbeddedService
    from service.cli.waiting import succeeded
    from service.client import ServiceClient

    with EmbeddedService() as service, ServiceClient(service.url) as client:
        service.start_worker()
        with watched(service):
            job = client.submit(spec.model_dump(mode="json"))
        return shown(client, succeeded(finished(service, client, job)), out, as_json=as_json)


def _keep(service: "EmbeddedService") -> None:
    """Keeps the worker's log of a job that failed for a fault of ours, which its failure points at."""
    from service.cli.crash import keep_log

    kept = keep_log(service.worker_log) if service.worker_log is not None else None
    if kept is not None:
        typer.echo(f"paretune: the worker's log is {kept}", err=True)


def _written(client: "ServiceClient", results: "Results", out: Path | None) -> Counter[str]:
    """Writes the files, and counts the failures by kind; without a folder they are counted only when they matter."""
    from service.cli.files import write_all
    from service.cli.folder import filled
    from service.cli.results import count_failures

    if out is not None:
        with filled(out) as folder:
            return write_all(folder, client, results)
    return Counter() if results.frontier["points"] else count_failures(client, results.job["id"])
