"""Waits for a job to end, showing its progress."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from service.cli.errors import BadUsageError, FailedError
from service.cli.progress import display
from service.client import JobAnswer, ServiceClient
from service.client.answers import FINAL_STATES

FIRST_POLL_SECONDS: Final = 0.1
POLL_SECONDS: Final = 1.0


def wait_for(client: ServiceClient, job: JobAnswer, check: Callable[[], None], most_seconds: float) -> JobAnswer:
    """The job once it has ended; `check` is called before every look and may raise.

    Looks every 0.1 s at first and then less often, up to every `most_seconds`.
    """
    with display() as shown:
        for pause in _pauses(most_seconds):
            shown.show(job)
            if job["state"] in FINAL_STATES:
                return job
            time.sleep(pause)
            check()
            job = client.job(job["id"])
    raise AssertionError("unreachable: the pauses never end")


def succeeded(job: JobAnswer) -> JobAnswer:
    """The job itself; raises `BadUsageError` or `FailedError` when it has not succeeded."""
    if job["state"] == "succeeded":
        return job
    if job["state"] == "cancelled":
        raise FailedError(f"job {job['id']} was cancelled; submit it again to run it whole")
    failure = job["failure"]
    if failure is None:
        raise FailedError(f"job {job['id']} {job['state']}; the worker's log has the reason")
    if failure["kind"] == "invalid_spec":
        raise BadUsageError(failure["detail"])
    raise FailedError(f"job {job['id']} failed: {failure['detail']}")


def _pauses(most_seconds: float) -> Iterator[float]:
    pause = FIRST_POLL_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.2, most_seconds)
