"""Measures a running engine: probe it, load it, wait until it is warm, watch it in a steady window, and sum up."""

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from tuner.load.client import Client
from tuner.load.endpoint import Endpoint
from tuner.load.loop import StampingSelector, stamping_loop
from tuner.load.plan import Plan
from tuner.load.result import LoadResult, Progress
from tuner.load.run import Run, Watchers, goes_on, lives
from tuner.load.undisturbed import short_collections
from tuner.load.windows import Meter
from tuner.load.workload import Load
from tuner.trial import Failure


def measure_load(
    endpoint: Endpoint,
    load: Load,
    plan: Plan,
    *,
    alive: Callable[[], Failure | None] = lives,
    cancelled: Callable[[], bool] = goes_on,
    meter: Meter | None = None,
    progress: Progress | None = None,
    records_path: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> LoadResult:
    """Loads an engine and gives what its users would see in a steady window.

    `alive` and `cancelled` are asked several times a second from the load's own thread and must answer at once.
    Every request's record goes to `records_path` (gzip JSON Lines), also when the load fails. Raises the errors of
    `tuner.load.errors`.
    """
    salt = secrets.randbits(62) if plan.salt is None else plan.salt
    selector = StampingSelector(clock)
    client = Client(endpoint, clock, selector.woken)
    run = Run(client, load, plan, Watchers(alive, cancelled, meter, progress, records_path), salt)
    with short_collections(), asyncio.Runner(loop_factory=lambda: stamping_loop(selector)) as runner:
        return runner.run(run.measure())
