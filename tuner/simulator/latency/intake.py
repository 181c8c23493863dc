"""Requests on their way to the scheduler: who sends when, and how long the host takes before one can be scheduled."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from tuner.simulator.latency.arrivals import Traffic
from tuner.simulator.latency.limits import HostOverhead


class Intake:
    """The client and the engine's front end; times in ms.

    ``sent``: when each request was sent; ``arrivals``: (ready time, request) of those not yet schedulable, a heap.
    """

    def __init__(self, traffic: Traffic, host: HostOverhead) -> None:
        self._tokens: list[int] = traffic.input_tokens.tolist()
        self._host = host
        self._closed = traffic.concurrency is not None
        self._free_ms = 0.0
        self._next = 0
        self.sent = [0.0] * len(traffic)
        self.arrivals: list[tuple[float, int]] = []
        for at_ms in traffic.sent_ms.tolist():
            self._send(at_ms)

    def _send(self, at_ms: float) -> None:
        request = self._next
        self._next += 1
        host, tokens = self._host, self._tokens[request]
        self.sent[request] = at_ms
        taken = max(at_ms, self._free_ms) + host.serial_ms + host.serial_ms_per_token * tokens
        self._free_ms = taken
        heapq.heappush(self.arrivals, (taken + host.intake_ms + host.intake_ms_per_token * tokens, request))

    def replace(self, at_ms: float) -> None:
        """In a closed loop, send the next request for one that has ended."""
        if self._closed and self._next < len(self._tokens):
            self._send(at_ms)

    def due(self, now_ms: float) -> Iterator[int]:
        """Requests that have become schedulable, in that order."""
        while self.arrivals and self.arrivals[0][0] <= now_ms:
            yield heapq.heappop(self.arrivals)[1]
