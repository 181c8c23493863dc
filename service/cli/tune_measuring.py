"""`paretune tune` of a job that starts engines: what it measured is kept until the job has ended, whatever happens."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from service.cli.claim import Claim
from service.cli.data_folder import data_folder
from service.cli.embedded import KEPT_JOBS, EmbeddedService
from service.cli.errors import FailedError
from service.cli.interrupts import Interrupted
from service.cli.job_digest import digest_of
from service.cli.tuning import finished, shown, watched
from service.cli.waiting import succeeded
from service.client import JobAnswer, ServiceClient

if TYPE_CHECKING:
    from tuner.spec import JobSpec

_LOOK_SECONDS: Final = 0.1


def tune_measuring(spec: "JobSpec", out: Path | None, *, fresh: bool, as_json: bool) -> str | None:
    """Runs the job, or goes on with it after its last trial; gives the reason when no configuration is feasible.

    Raises `FailedError` while another run has the same job.
    """
    data = data_folder()
    with (
        Claim(data / KEPT_JOBS, digest_of(spec)) as claim,
        _keeping(),
        EmbeddedService(data) as service,
        ServiceClient(service.url) as client,
    ):
        if fresh:
            claim.start_anew()
        service.start_worker(claim.key, claim.descriptor)
        with watched(service):
            job = client.submit(spec.model_dump(mode="json"), claim.key)
            _say_what_is_known(client, job)
        job = succeeded(finished(service, client, _taken_up(service, client, job)))
        reason = shown(client, job, out, as_json=as_json)
        client.delete(job["id"])
        claim.forget()
    return reason


@contextmanager
def _keeping() -> Iterator[None]:
    """Says of a run that is cut short, or fails, that another one goes on with it."""
    try:
        yield
    except (Interrupted, FailedError):
        typer.echo("paretune: the same command goes on after the trials that have ended", err=True)
        raise


def _say_what_is_known(client: ServiceClient, job: JobAnswer) -> None:
    """Says how many trials a run before has measured, if there was one."""
    measured = sum(trial["state"] != "running" for trial in client.trials(job["id"]))
    if measured:
        moment = job["created_at"].replace("T", " ")[:16]
        typer.echo(
            f"paretune: going on after {measured} trials measured since {moment} UTC; --fresh starts anew", err=True
        )


def _taken_up(service: EmbeddedService, client: ServiceClient, job: JobAnswer) -> JobAnswer:
    """The job; one that had failed, once the worker has taken it up again."""
    now = job
    while now["state"] == "failed" and now["finished_at"] == job["finished_at"]:
        service.check()
        time.sleep(_LOOK_SECONDS)
        now = client.job(job["id"])
    return now
