"""A job of `paretune tune` once it is submitted: waited for, shown, written to files."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import typer

from service.cli.crash import keep_log
from service.cli.embedded import EmbeddedService
from service.cli.files import write_all
from service.cli.folder import filled
from service.cli.output import print_json
from service.cli.results import Results, count_failures
from service.cli.showing import show_results
from service.cli.summary import infeasible
from service.cli.waiting import wait_for
from service.client import JobAnswer, ServiceClient, UnreachableError

MOST_POLL_SECONDS: Final = 0.3


def finished(service: EmbeddedService, client: ServiceClient, job: JobAnswer) -> JobAnswer:
    """The job once it has ended; shows its progress. Raises `FailedError` when the service has ended before."""
    with watched(service):
        job = wait_for(client, job, service.check, MOST_POLL_SECONDS)
    if job["failure"] is not None and job["failure"]["kind"] == "internal":
        _keep(service)
    return job


def shown(client: ServiceClient, job: JobAnswer, out: Path | None, *, as_json: bool) -> str | None:
    """Writes and prints the results of a job; gives the reason when no configuration is feasible."""
    results = Results.read(client, job)
    failures = _written(client, results, out)
    if as_json:
        print_json(results.document())
    elif results.frontier["points"]:
        show_results(results, out)
    return None if results.frontier["points"] else infeasible(job, failures)


@contextmanager
def watched(service: EmbeddedService) -> Iterator[None]:
    """Calls to a service: where it does not answer because a process has ended, that is the error."""
    try:
        yield
    except UnreachableError:
        service.check()
        raise


def _keep(service: EmbeddedService) -> None:
    """Keeps the worker's log of a job that failed for a fault of ours, which its failure points at."""
    kept = keep_log(service.worker_log) if service.worker_log is not None else None
    if kept is not None:
        typer.echo(f"paretune: the worker's log is {kept}", err=True)


def _written(client: ServiceClient, results: Results, out: Path | None) -> Counter[str]:
    """Writes the files, and counts the failures by kind; without a folder they are counted only when they matter."""
    if out is not None:
        with filled(out) as folder:
            return write_all(folder, client, results)
    return Counter() if results.frontier["points"] else count_failures(client, results.job["id"])
