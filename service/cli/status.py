"""`paretune status`: where a job stands."""

from typing import TYPE_CHECKING

import typer

from service.cli.output import AsJson
from service.cli.remote import DEFAULT_URL, JobId, Url

if TYPE_CHECKING:
    from service.client import JobAnswer


def status(job: JobId, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show where a job stands."""
    from service.cli.output import print_json
    from service.client import ServiceClient

    with ServiceClient(url) as client:
        found = client.job(job)
    if as_json:
        print_json(found)
        return
    for line in status_lines(found):
        typer.echo(line)


def status_lines(job: "JobAnswer") -> list[str]:
    """A job in a few lines."""
    from service.cli.progress import note_of
    from service.cli.summary import infeasible

    name = f" ({job['name']})" if job["name"] else ""
    asked = ", asked to stop" if job["cancel_requested"] and job["state"] == "running" else ""
    lines = [f"job {job['id']}{name}: {job['state']}{asked}", f"model: {job['spec'].get('model')}"]
    times = (("submitted", job["created_at"]), ("started", job["started_at"]), ("finished", job["finished_at"]))
    lines += [f"{word}: {moment}" for word, moment in times if moment]
    note = note_of(job)
    lines += [f"progress: {note}"] if note else []
    if job["failure"] is not None:
        lines.append(f"failure: {job['failure']['detail']}")
    if job["state"] == "succeeded" and not job["progress"]["frontier_size"] and job["misses"]:
        lines.append(infeasible(job, {}))
    return lines
