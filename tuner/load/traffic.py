"""Sends a load: streams of a closed loop with staggered starts, or arrivals that wait for nobody."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tuner.load.arrivals import Closed, Open, Replayed, offsets
from tuner.load.client import Client, Request
from tuner.load.columns import Columns
from tuner.load.dialect import Dialect, judged
from tuner.load.errors import OverloadError
from tuner.load.probe import Probed
from tuner.load.records import RequestRecord
from tuner.load.workload import Load

BACK_OFF_SECONDS: Final = 0.1
"""How long a stream waits after a failure, so that an engine that refuses is not flooded."""

SETTLE_SECONDS: Final = 0.2
"""How long requests that were cut may take to end."""


class Source:
    """Makes the requests of a load, one after the other."""

    def __init__(self, load: Load, probed: Probed) -> None:
        self._lengths: Iterator[tuple[int, int]] = load.lengths()
        self._probed = probed
        self._number = 0

    @property
    def dialect(self) -> Dialect:
        """How requests are written."""
        return self._probed.dialect

    def next(self, scheduled: float) -> Request:
        """The next request, to be sent at a moment of the monotonic clock."""
        prompts = self._probed.prompts
        wanted, output = next(self._lengths)
        tokens = max(wanted, prompts.least_tokens)
        body = self._probed.dialect.body(prompts.render(self._number, tokens), output)
        self._number += 1
        return Request(self._number - 1, scheduled, tokens, output, body)


@dataclass(slots=True)
class Traffic:
    """A load under way: what ended so far, how many failed, and which streams have answered once."""

    client: Client
    load: Load
    source: Source
    most_in_flight: int
    records: list[RequestRecord] = field(default_factory=list)
    columns: Columns = field(default_factory=Columns)
    failed: int = 0
    whole: int = 0
    longest_seconds: float = 0.0
    is_over: bool = False
    answered_streams: set[int] = field(default_factory=set)
    _open: set["asyncio.Task[None]"] = field(default_factory=set)

    async def run(self, start: float, spread_seconds: float) -> None:
        """Sends from `start` on, for ever; the streams of a closed loop begin spread over some seconds."""
        arrivals = self.load.arrivals
        if isinstance(arrivals, Closed):
            async with asyncio.TaskGroup() as group:
                for stream in range(arrivals.concurrency):
                    begin = start + spread_seconds * stream / arrivals.concurrency
                    group.create_task(self._stream(stream, begin))
        else:
            await self._arrivals(arrivals, start)

    async def settle(self, sending: "asyncio.Task[None]") -> None:
        """Sends nothing more, cuts what is in flight, and waits a moment until each has its record."""
        self.is_over = True
        self.client.cut_all()
        pending = {*self._open, sending}
        await asyncio.wait(pending, timeout=SETTLE_SECONDS)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _stream(self, stream: int, begin: float) -> None:
        await self._until(begin)
        scheduled = begin
        while not self.is_over:
            record = await self._one(self.source.next(scheduled))
            self.answered_streams.add(stream)
            scheduled = record.ended
            if record.error is not None:
                await asyncio.sleep(BACK_OFF_SECONDS)
                scheduled = self.client.clock()

    async def _arrivals(self, arrivals: Open | Replayed, start: float) -> None:
        for offset in offsets(arrivals, self.load.seed):
            due = start + offset
            await self._until(due)
            if self.is_over:
                return
            if len(self.client.in_flight) >= self.most_in_flight:
                raise OverloadError(
                    f"{self.most_in_flight} requests are in flight and more arrive than are answered; ask a lower rate"
                )
            task = asyncio.create_task(self._arrived(self.source.next(due)))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _arrived(self, request: Request) -> None:
        await self._one(request)

    async def _one(self, request: Request) -> RequestRecord:
        record = judged(await self.client.send(request), self.source.dialect)
        self.records.append(record)
        if record.error is not None:
            self.failed += 1
        elif not record.cut:
            self.whole += 1
            self.columns.add(record)
            self.longest_seconds = max(self.longest_seconds, record.ended - record.scheduled)
        return record

    async def _until(self, moment: float) -> None:
        delay = moment - self.client.clock()
        if delay > 0:
            await asyncio.sleep(delay)
