"""Sends requests, each on a fresh connection, and keeps time limits: what a user of the engine would see.

Connections are not kept: llama-server closes them after a stream, and a client that pools them meets dead ones.
"""

import asyncio
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tuner.load.endpoint import Endpoint
from tuner.load.errors import UnreachableError
from tuner.load.exchange import Exchange
from tuner.load.records import ErrorKind, RequestRecord

SWEEP_SECONDS: Final = 0.1
"""How often requests in flight are held against the time limits."""
CONNECT_SECONDS: Final = 10.0
ROOM_BYTES: Final = 64 * 1024
"""Most that is read of a connection at once."""
CALL_SECONDS: Final = 30.0
"""Time limit of a call that is no load, such as `/tokenize`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a request counts as failed, in seconds: without its first token, without a next one, and as a whole."""

    first_token_seconds: float = 60.0
    stall_seconds: float = 10.0
    request_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request to send: when (seconds of the monotonic clock), its tokens, and its body."""

    number: int
    scheduled: float
    input_tokens: int
    asked_tokens: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is no stream: HTTP status and the JSON document, `None` where it is none."""

    status: int
    document: object


class Client:
    """Speaks to one endpoint from one event loop; `open` finds its address.

    `came` tells when the bytes came that are read now, where that is better known than by the clock.
    """

    def __init__(
        self, endpoint: Endpoint, clock: Callable[[], float] = time.monotonic, came: Callable[[], float] | None = None
    ) -> None:
        parts = urlsplit(endpoint.base_url)
        assert parts.hostname is not None
        self.endpoint = endpoint
        self.clock = clock
        self._came = came or clock
        self.limits = Limits()
        self._room = memoryview(bytearray(ROOM_BYTES))
        self._newest = clock()
        """When the newest token of any stream came, as far as was looked."""
        self.in_flight: dict[Exchange, Request] = {}
        self._host, self._authority = parts.hostname, parts.netloc.rpartition("@")[2]
        self._secure = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._secure else 80)
        self._base = parts.path
        self._address: tuple[str, int] | None = None
        self._head = self._head_of("POST", urlsplit(endpoint.url).path, "text/event-stream")

    async def open(self) -> None:
        """Looks the host up once, so that no request waits for it; raises `UnreachableError` when nothing answers."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise UnreachableError(f"{self._host} is not known here ({error}); check the URL") from None
        reason = "no address"
        for family, *_, address in found:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    with socket.socket(family, socket.SOCK_STREAM) as probe:
                        probe.setblocking(False)
                        await loop.sock_connect(probe, address)
            except OSError as error:
                reason = "no answer in time" if error.errno is None else os.strerror(error.errno).lower()
                continue
            self._address = (str(address[0]), self._port)
            return
        raise UnreachableError(
            f"nothing answers at {self.endpoint.base_url} ({reason}); start the engine, or check the URL"
        )

    async def send(self, request: Request) -> RequestRecord:
        """Sends a request and waits until it ended one way or the other; a record says how, nothing is raised."""
        exchange = self._exchange(self._head, request.body)
        begun = self.clock()
        self.in_flight[exchange] = request
        try:
            await self._connect(exchange)
            await exchange.finished
        finally:
            exchange.cut()  # only where this task was cancelled
            del self.in_flight[exchange]
        return _record(request, begun, exchange)

    async def call(self, method: str, path: str, document: object = None) -> Reply | None:
        """Calls another path of the engine; `None` when nothing whole comes back within the time limit."""
        body = b"" if document is None else json.dumps(document).encode()
        exchange = self._exchange(self._head_of(method, self._base + path, "application/json"), body)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._connect(exchange)
                await exchange.finished
        except TimeoutError:
            return None
        finally:
            exchange.cut()
        if exchange.status is None or exchange.error not in (None, ErrorKind.HTTP_STATUS):
            return None
        try:
            return Reply(exchange.status, json.loads(exchange.body))
        except ValueError:
            return Reply(exchange.status, None)

    async def watch_limits(self) -> None:
        """Holds the requests in flight against the time limits, for ever; to be run as a task."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self.clock()
            flying = tuple(self.in_flight.items())
            self._newest = max((one.moments[-1] for one, _ in flying if one.moments), default=self._newest)
            for exchange, request in flying:
                verdict = _overdue(exchange, request, now, self._newest, self.limits)
                if verdict is not None:
                    exchange.fail(*verdict)

    def cut_all(self) -> None:
        """Ends every request in flight."""
        for exchange in tuple(self.in_flight):
            exchange.cut()

    def _exchange(self, head: bytes, body: bytes) -> Exchange:
        request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        return Exchange(request, asyncio.get_running_loop().create_future(), self.clock, self._came, self._room)

    async def _connect(self, exchange: Exchange) -> None:
        assert self._address is not None, "the client is not open"
        host, port = self._address
        name = self._host if self._secure else None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().create_connection(
                    lambda: exchange, host, port, ssl=self._secure, server_hostname=name
                )
        except TimeoutError:
            exchange.fail(ErrorKind.TIMED_OUT, f"no connection within {CONNECT_SECONDS:.0f} s")
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError)
            exchange.fail(ErrorKind.REFUSED_CONNECTION if refused else ErrorKind.RESET, f"no connection: {error}")

    def _head_of(self, method: str, path: str, accept: str) -> bytes:
        headers: Mapping[str, str] = {
            "Host": self._authority,
            "Accept": accept,
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Type": "application/json",
            "User-Agent": "paretune",
            **self.endpoint.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} {path} HTTP/1.1\r\n{lines}".encode()


def _overdue(
    exchange: Exchange, request: Request, now: float, newest: float, limits: Limits
) -> tuple[ErrorKind, str] | None:
    waited = now - request.scheduled
    if limits.request_seconds is not None and waited > limits.request_seconds:
        return ErrorKind.TIMED_OUT, f"not whole after {limits.request_seconds:.0f} s"
    if not exchange.moments:
        if waited > limits.first_token_seconds:
            return ErrorKind.TIMED_OUT, f"no first token after {limits.first_token_seconds:.0f} s"
        if min(waited, now - newest) > limits.stall_seconds:
            return ErrorKind.STALLED, f"no stream got a token for {limits.stall_seconds:.0f} s"
    elif now - exchange.moments[-1] > limits.stall_seconds:
        return ErrorKind.STALLED, f"no token for {limits.stall_seconds:.0f} s after {len(exchange.moments)} chunks"
    return None


def _record(request: Request, begun: float, exchange: Exchange) -> RequestRecord:
    assert exchange.ended is not None
    return RequestRecord(
        number=request.number,
        scheduled=request.scheduled,
        begun=begun,
        sent=exchange.sent,
        ended=exchange.ended,
        input_tokens=request.input_tokens,
        asked_tokens=request.asked_tokens,
        chunk_seconds=tuple(exchange.moments),
        chunk_tokens=_differences(exchange.tokens_so_far),
        prompt_tokens=exchange.prompt_tokens,
        cached_tokens=exchange.cached_tokens,
        output_tokens=exchange.output_tokens,
        cut=exchange.was_cut,
        http_status=exchange.status,
        error=exchange.error,
        detail=exchange.detail,
    )


def _differences(tokens_so_far: list[int | None]) -> tuple[int, ...] | None:
    """Tokens that each chunk brought; `None` unless the engine counted with every one of them."""
    counts = [count for count in tokens_so_far if count is not None]
    if not counts or len(counts) < len(tokens_so_far):
        return None
    return tuple(now - before for now, before in zip(counts, [0, *counts[:-1]], strict=True))
