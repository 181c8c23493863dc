"""One request on a connection of its own, and what came back when."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Final

from tuner.load.http import BrokenResponseError, Response
from tuner.load.records import ErrorKind
from tuner.load.wire import DONE, MOST_DETAIL, Event, Lines, MalformedEventError, error_message, read_event

MOST_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Most that is kept of an answer that is no stream."""
PARTING_SECONDS: Final = 1.0
"""How long an engine may take to close a connection whose stream is whole."""


class Exchange(asyncio.BufferedProtocol):
    """Sends one request and notes when each piece of the answer came; `finished` is done when nothing more will.

    Moments are seconds of `clock`; `came` tells when the bytes came that are taken now. `moments`: of each chunk with
    tokens; `tokens_so_far`: the engine's count with each, `None` where it does not count. Of an answer that is no
    stream, `body` is the whole.
    """

    def __init__(
        self,
        request: bytes,
        finished: "asyncio.Future[None]",
        clock: Callable[[], float],
        came: Callable[[], float],
        room: memoryview,
    ) -> None:
        self.finished = finished
        self.sent: float | None = None
        self.ended: float | None = None
        self.moments: list[float] = []
        self.tokens_so_far: list[int | None] = []
        self.prompt_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.output_tokens: int | None = None
        self.error: ErrorKind | None = None
        self.detail: str | None = None
        self.body = b""
        self.was_cut = False
        self._request = request
        self._clock = clock
        self._came = came
        self._room = room
        self._transport: asyncio.Transport | None = None
        self._response = Response()
        self._lines = Lines()
        self._counted = 0
        self._has_ending = False
        self._is_stream = False

    @property
    def status(self) -> int | None:
        """The HTTP status, once it came."""
        return self._response.status

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Writes the request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.finished.done():
            transport.abort()
            return
        transport.write(self._request)
        self.sent = self._clock()

    def get_buffer(self, _wanted: int) -> memoryview:
        """Where the next bytes go: room that all exchanges of a client share, since each takes its bytes at once."""
        return self._room

    def buffer_updated(self, length: int) -> None:
        """Bytes came."""
        self.take(bytes(self._room[:length]))

    def take(self, data: bytes) -> None:
        """Takes what came."""
        now = self._came()
        try:
            body = self._response.feed(data)
            if self.ended is None and self._response.status is not None:
                self._take(body, now)
        except (BrokenResponseError, MalformedEventError) as error:
            self.fail(ErrorKind.MALFORMED, str(error))
        if self.ended is not None and self._response.is_complete:
            self._close()

    def eof_received(self) -> None:
        """The other side has no more to say."""
        self._closed(None)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._closed(error)

    def fail(self, kind: ErrorKind, detail: str) -> None:
        """Ends the exchange as failed; the first failure stays."""
        if self.ended is None:
            self.error, self.detail = kind, detail
            self._end()
            self._close()

    def cut(self) -> None:
        """Ends an exchange that is under way, and its connection with it, without a verdict."""
        if self.ended is None:
            self.was_cut = True
            self._end()
            self._close()

    def _take(self, body: bytes, now: float) -> None:
        if not self._is_stream:
            kind = self._response.headers.get("content-type", "")
            self._is_stream = self.status == 200 and "event-stream" in kind
        if self._is_stream:
            self._events(body, now)
        else:
            self.body += body
            if len(self.body) > MOST_ANSWER_BYTES:
                raise BrokenResponseError("the answer does not end")
        if self._response.is_complete:
            self._completed()

    def _events(self, body: bytes, now: float) -> None:
        for payload in self._lines.feed(body):
            if payload == DONE:
                self._done()
            else:
                self._note(read_event(payload), now)
            if self.ended is not None:
                return

    def _note(self, event: Event, now: float) -> None:
        if event.error is not None:
            self.fail(ErrorKind.STREAM_ERROR, event.error)
            return
        so_far = event.tokens_so_far
        if event.has_text or (so_far is not None and self._is_token(event, so_far)):
            self.moments.append(now)
            self.tokens_so_far.append(so_far)
        if so_far is not None:
            self._counted = so_far
        self._has_ending = self._has_ending or event.finished
        if event.final_output is not None:
            self.output_tokens = event.final_output
        if event.final_prompt is not None:
            self.prompt_tokens = event.final_prompt
        if event.cached is not None:
            self.cached_tokens = event.cached

    def _is_token(self, event: Event, so_far: int) -> bool:
        """Whether an event without text brings a token: a token may have none, and last words only repeat the count."""
        return event.has_choice and so_far > self._counted and (self._counted > 0 or not event.finished)

    def _done(self) -> None:
        """The engine says that the stream is whole; the connection is left to it for a moment."""
        self._end()
        asyncio.get_running_loop().call_later(PARTING_SECONDS, self._close)

    def _completed(self) -> None:
        if self.status != 200:
            self.fail(ErrorKind.HTTP_STATUS, f"{self.status}: {_message(self.body)}")
        elif self._is_stream and not self._has_ending:
            self.fail(ErrorKind.TRUNCATED, f"the stream ended after {len(self.moments)} chunks without its last words")
        else:
            self._end()
            self._close()

    def _closed(self, error: Exception | None) -> None:
        if self.ended is not None:
            return
        if error is not None:
            self.fail(ErrorKind.RESET, f"the connection broke: {error}")
        elif self.status is None:
            self.fail(ErrorKind.RESET, "the connection was closed without an answer")
        elif self._response.ends_with_connection or (self._is_stream and self._has_ending):
            self._completed()
        else:
            self.fail(ErrorKind.TRUNCATED, f"the connection was closed in mid-answer, after {len(self.moments)} chunks")

    def _end(self) -> None:
        if self.ended is None:
            self.ended = self._clock()
            if not self.finished.done():
                self.finished.set_result(None)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _message(body: bytes) -> str:
    with contextlib.suppress(ValueError):
        return error_message(json.loads(body))
    return " ".join(body[:MOST_DETAIL].decode("utf-8", "replace").split())
