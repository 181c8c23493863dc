"""One load from its probe to its last window, attended all the while: does the engine live, does the caller go on?"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from tuner.load.arrivals import Closed
from tuner.load.client import Client, Limits
from tuner.load.conclusion import Ended, broken, conclude, with_overhead
from tuner.load.errors import CancelledLoadError, LoadError, LostEngineError
from tuner.load.lateness import LoopWatch
from tuner.load.plan import Plan
from tuner.load.probe import Probed, probe
from tuner.load.records import write_records
from tuner.load.result import LoadResult, Progress, Standing
from tuner.load.steady import Span, is_broken, is_warm, widest
from tuner.load.traffic import Source, Traffic
from tuner.load.undisturbed import allow_connections
from tuner.load.windows import Mark, Meter, Window, take_mark
from tuner.load.workload import Load, mean_of
from tuner.trial import Failure

ATTEND_SECONDS: Final = 0.1
PROGRESS_SECONDS: Final = 1.0
WARM_UP_SHARE: Final = 0.5
"""After this share of the time a load is measured as it is, warm or not."""
GROWTH: Final = 0.25
"""A further window is at least this share of what was measured so far: few looks, so that none is lucky."""
MOST_SPREAD_SECONDS: Final = 10.0
DEATH_SECONDS: Final = 1.0
"""How long the keeper of an engine whose requests fail gets to notice that it died."""
_T = TypeVar("_T")


def lives() -> Failure | None:
    """Nobody watches the engine."""
    return None


def goes_on() -> bool:
    """Nobody cancels."""
    return False


@dataclass(frozen=True, slots=True)
class Watchers:
    """What the caller lends to a load."""

    alive: Callable[[], Failure | None] = lives
    cancelled: Callable[[], bool] = goes_on
    meter: Meter | None = None
    progress: Progress | None = None
    records_path: Path | None = None


class Run:
    """One measurement; `measure` may be called once."""

    def __init__(self, client: Client, load: Load, plan: Plan, watchers: Watchers, salt: int) -> None:
        self._load, self._plan, self._watchers, self._salt = load, plan.for_arrivals(load.arrivals), watchers, salt
        self._client, self._clock = client, client.clock
        self._loop_watch = LoopWatch()
        self._tasks: list[asyncio.Task[None]] = []
        self._windows: list[Window] = []
        self._phase = "probing"
        self._half_width: float | None = None
        self._traffic: Traffic | None = None
        self._start = 0.0
        self._next_progress = 0.0

    async def measure(self) -> LoadResult:
        """Runs the load; raises the errors of `tuner.load.errors`."""
        begun = self._clock()
        arrivals = self._load.arrivals
        allow_connections(arrivals.concurrency if isinstance(arrivals, Closed) else self._plan.most_in_flight)
        self._begin(self._client.watch_limits())
        try:
            probed = await self._probed()
            self._client.limits = _limits(self._plan.limits, probed, self._load)
            traffic = self._traffic = Traffic(
                self._client, self._load, Source(self._load, probed), self._plan.most_in_flight
            )
            self._begin(self._loop_watch.watch())
            self._start = self._clock()
            started_at = time.time()
            sending = self._begin(traffic.run(self._start, _spread_seconds(probed, self._load, self._plan)))
            try:
                was_warm = await self._warm_up(traffic)
                await self._watch_windows(traffic)
            finally:
                over = self._clock()
                self._tasks.remove(sending)
                await traffic.settle(sending)
                self._keep_records(traffic)
            ended = Ended(traffic, probed, self._windows, self._plan, self._loop_watch, self._start, over, was_warm)
            result = conclude(ended, started_at)
            return with_overhead(result, self._clock() - begun - result.load_seconds)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _probed(self) -> Probed:
        """The probe's findings; where the engine died of it, that is what is raised."""
        probing = asyncio.create_task(probe(self._client, self._load, self._salt, self._plan.tokenizer))
        try:
            await self._attend(probing.done)
            return probing.result()
        except LoadError:
            await self._raise_if_dead()
            raise
        finally:
            probing.cancel()
            with suppress(asyncio.CancelledError, LoadError):
                await probing

    async def _warm_up(self, traffic: Traffic) -> bool:
        """Waits until the load is warm; `False` when half of the time passed before."""
        self._phase = "warming up"
        longest = self._plan.seconds * WARM_UP_SHARE
        await self._attend(lambda: self._elapsed() >= longest or is_warm(traffic, self._elapsed(), self._plan))
        return is_warm(traffic, self._elapsed(), self._plan)

    async def _watch_windows(self, traffic: Traffic) -> None:
        """Adds windows until each wanted metric is exact enough, or the time is over."""
        self._phase = "measuring"
        deadline = self._start + self._plan.seconds
        first = mark = await take_mark(self._watchers.meter, self._clock)
        while True:
            length = max(self._plan.window_seconds, GROWTH * (mark.moment - first.moment))
            end = mark.moment + length
            if deadline - end < self._plan.window_seconds:
                end = deadline
            await self._attend_until(end)
            closed = await take_mark(self._watchers.meter, self._clock)
            self._windows.append(Window(mark, closed))
            mark = closed
            if self._is_enough(traffic, first, mark) or mark.moment >= deadline:
                return

    def _is_enough(self, traffic: Traffic, first: Mark, last: Mark) -> bool:
        under_way: list[Span] = [
            (exchange.moments[0], exchange.moments[-1], len(exchange.moments))
            for exchange in self._client.in_flight
            if exchange.moments
        ]
        served, arrivals = traffic.columns.served(), traffic.load.arrivals
        self._half_width = widest(served, under_way, first.moment, last.moment, self._plan, arrivals)
        return self._half_width is not None and self._half_width <= self._plan.precision

    async def _attend_until(self, moment: float) -> None:
        await self._attend(lambda: self._clock() >= moment)

    async def _attend(self, is_over: Callable[[], bool]) -> None:
        """Waits for something, and raises when the engine died, the caller cancelled or too much failed."""
        while not is_over():
            if self._watchers.cancelled():
                raise CancelledLoadError("the load was cancelled")
            failure = self._watchers.alive()
            if failure is not None:
                raise LostEngineError(failure)
            for task in self._tasks:
                if task.done():
                    task.result()
            if self._traffic is not None and is_broken(self._traffic, self._elapsed(), self._plan):
                await self._raise_if_dead()
                raise broken(self._traffic)
            self._tell()
            await asyncio.sleep(ATTEND_SECONDS)

    async def _raise_if_dead(self) -> None:
        deadline = self._clock() + (0.0 if self._watchers.alive is lives else DEATH_SECONDS)
        while self._clock() < deadline:
            failure = self._watchers.alive()
            if failure is not None:
                raise LostEngineError(failure)
            await asyncio.sleep(ATTEND_SECONDS / 2)

    def _tell(self) -> None:
        if self._watchers.progress is None or self._clock() < self._next_progress:
            return
        self._next_progress = self._clock() + PROGRESS_SECONDS
        whole, failed = (0, 0) if self._traffic is None else (self._traffic.whole, self._traffic.failed)
        seconds = self._elapsed() if self._traffic is not None else 0.0
        flying = len(self._client.in_flight)
        self._watchers.progress(
            Standing(self._phase, seconds, self._plan.seconds, whole, failed, flying, self._half_width)
        )

    def _keep_records(self, traffic: Traffic) -> None:
        if self._watchers.records_path is not None:
            write_records(self._watchers.records_path, traffic.records, self._start)

    def _elapsed(self) -> float:
        return self._clock() - self._start

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task


def _spread_seconds(probed: Probed, load: Load, plan: Plan) -> float:
    """How long the starts of a closed loop are spread: over one request, so that streams are at all points of theirs."""
    request = probed.first_token_seconds + probed.token_seconds * mean_of(load.output)
    return min(request, MOST_SPREAD_SECONDS, plan.seconds * WARM_UP_SHARE / 2)


def _limits(limits: Limits, probed: Probed, load: Load) -> Limits:
    """The limits, with the time that an engine needs for the prompts of all others added to the waits for a token."""
    others = load.arrivals.concurrency if isinstance(load.arrivals, Closed) else 1
    allowance = others * probed.first_token_seconds
    return replace(
        limits,
        first_token_seconds=limits.first_token_seconds + allowance,
        stall_seconds=limits.stall_seconds + allowance,
    )
