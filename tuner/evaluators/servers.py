"""Servers that measurements use, with the devices they run on: started when needed, kept while only the load changes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from tuner.configuration import Configuration
from tuner.engines.base import RunningEngine
from tuner.evaluators.energy import Energy
from tuner.evaluators.hosts import Host
from tuner.load.endpoint import Endpoint

Cancelled = Callable[[], bool]


@dataclass(slots=True)
class Started:
    """A server that is ready: where it answers, and how long its build and start took (s)."""

    running: RunningEngine
    endpoint: Endpoint
    start_seconds: float


@dataclass(slots=True)
class Server:
    """A server that runs, its devices, and their energy; `is_new` in the measurement that it was started for.

    `configuration` is the one that it was started with, whatever its load; `held` gives everything back.
    """

    configuration: Configuration
    devices: tuple[str, ...]
    energy: Energy | None
    started: Started
    waited_seconds: float
    held: ExitStack = field(default_factory=ExitStack)
    is_new: bool = True

    @property
    def running(self) -> RunningEngine:
        """The engine."""
        return self.started.running


Start = Callable[[tuple[str, ...]], Started]
"""Builds and starts a server on the devices."""


class Servers:
    """The servers of one job; leaving it ends those that were kept. May be used by several threads.

    A server whose measurement went well is kept with its devices. It is ended when a measurement waits for devices, so
    that those that are kept never stand in the way of those that are needed: nobody waits for an idle server.
    """

    def __init__(self, host: Host, clock: Callable[[], float] = time.monotonic) -> None:
        self._host, self._clock = host, clock
        self._lock = threading.Lock()
        self._idle: list[Server] = []
        self._busy = 0

    @property
    def busy(self) -> int:
        """Measurements that have a server, or wait for one (count)."""
        return self._busy

    @contextmanager
    def lent(self, configuration: Configuration, start: Start, cancelled: Cancelled) -> Iterator[Server]:
        """A server for the configuration, nobody else's meanwhile: one that is kept, or a new one.

        An exception within ends it. Raises what `start` does, `TakeCancelledError` and `PowerError`.
        """
        with self._lock:
            self._busy += 1
        try:
            server = self._kept(configuration) or self._new(configuration, start, cancelled)
            with ExitStack() as unless_kept:
                unless_kept.push(server.held)
                yield server
                unless_kept.pop_all()
            server.is_new = False
            with self._lock:
                self._idle.append(server)
        finally:
            with self._lock:
                self._busy -= 1

    def close(self) -> None:
        """Ends the servers that were kept."""
        while self._end_one():
            pass

    def _kept(self, configuration: Configuration) -> Server | None:
        wanted = _server_of(configuration)
        with self._lock:
            found = next((one for one in reversed(self._idle) if _server_of(one.configuration) == wanted), None)
            if found is not None:
                self._idle.remove(found)
        if found is not None and found.running.failure():
            found.held.close()
            return None
        return found

    def _new(self, configuration: Configuration, start: Start, cancelled: Cancelled) -> Server:
        def short() -> bool:
            """Asked while devices are short."""
            self._end_one()
            return cancelled()

        with ExitStack() as held:
            began = self._clock()
            devices = held.enter_context(self._host.taken(configuration, short))
            waited = self._clock() - began
            energy = Energy.of(self._host, devices, cancelled)
            started = start(devices)
            held.callback(started.running.stop)
            return Server(configuration, devices, energy, started, waited, held.pop_all())

    def _end_one(self) -> bool:
        """Ends the server that has been idle the longest; `False` without one."""
        with self._lock:
            server = self._idle.pop(0) if self._idle else None
        if server is not None:
            server.held.close()
        return server is not None


def _server_of(configuration: Configuration) -> Configuration:
    """The configuration but for what the client or the device alone decides; slots that follow the load stay."""
    slots = configuration.max_batch_size or configuration.concurrency
    return replace(
        configuration,
        concurrency=1,
        replicas=1,
        max_batch_size=slots,
        power_limit_watts=None,
        gpu_clock_mhz=None,
    )
