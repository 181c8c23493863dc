"""One connection of the known server: it reads a request and streams tokens at known times."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from tests.tuner.load.behaviour import Counting, Misbehaviour
from tests.tuner.load.known_log import Known, Served

WORDS = ("sun ", "über ", "日本 ", "tree ", "río ", "snow ")


def tokens_of(text: str) -> list[int]:
    """The server's tokenizer: one token for each word, by its sum of code points."""
    return [sum(map(ord, word)) % 1000 for word in text.split()]


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection; it answers one request at a time and closes after a stream."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._behaviour = known.behaviour
        self._buffer = bytearray()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._served: Served | None = None
        self._start, self._count = 0.0, 0
        self._step, self._tokens, self._size = self._behaviour.tokens_per_chunk, 0, 0
        self._wrong: Misbehaviour | None = None
        self._chat = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._known.connections += 1
        self._known.open += 1

    def connection_lost(self, error: Exception | None) -> None:
        self._known.open -= 1
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = bytes(self._buffer).partition(b"\r\n\r\n")
        if not separator:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if len(body) < int(headers.get("content-length", "0")):
            return
        self._buffer.clear()
        received = time.monotonic()
        method, path, _ = lines[0].split(" ")
        answer = partial(self._answer, method, path, headers, body, received)
        if self._behaviour.accept_seconds:
            self._timer = self._loop.call_later(self._behaviour.accept_seconds, answer)
        else:
            answer()

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes, received: float) -> None:
        key = self._behaviour.key
        if key is not None and headers.get("authorization") != f"Bearer {key}":
            self._json(401, {"error": {"message": "wrong key"}})
        elif path in ("/v1/completions", "/v1/chat/completions") and method == "POST":
            self._completion(json.loads(body), received, chat=path.endswith("chat/completions"))
        elif path == "/tokenize" and method == "POST":
            asked = json.loads(body)
            self._json(200, {"tokens": tokens_of(asked.get("content", asked.get("prompt", "")))})
        elif path == "/v1/models":
            meta = {"n_vocab": self._behaviour.vocabulary} if self._behaviour.vocabulary else {}
            self._json(200, {"object": "list", "data": [{"id": "known", "object": "model", "meta": meta}]})
        elif path == "/log":
            self._json(200, {"requests": self._known.log(), "connections": self._known.connections})
        elif path == "/health":
            self._json(200, {"status": "ok"})
        else:
            self._json(404, {"error": {"message": f"no {path} here"}})

    def _json(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        self._transport.close()

    def _completion(self, asked: dict[str, Any], received: float, *, chat: bool) -> None:
        behaviour, known = self._behaviour, self._known
        if known.refused < behaviour.refusals:
            known.refused += 1
            self._json(503, {"error": {"message": "loading model"}})
            return
        unknown = set(asked) - behaviour.known_fields if behaviour.known_fields is not None else set()
        if unknown:
            self._json(400, {"error": {"message": f"extra inputs are not permitted: {', '.join(sorted(unknown))}"}})
            return
        prompt = asked["messages"][0]["content"] if chat else asked["prompt"]
        ids = tokens_of(prompt) if isinstance(prompt, str) else list(prompt)
        if not isinstance(prompt, str) and (
            not behaviour.token_prompts or any(not 0 <= i < (behaviour.vocabulary or 1000) for i in ids)
        ):
            self._json(400, {"error": {"message": "Prompt contains invalid tokens"}})
            return
        count = int(asked.get("max_tokens") or asked.get("max_completion_tokens") or 16)
        self._served = Served(received, ids, count)
        known.served.append(self._served)
        wrong = behaviour.misbehaviour if len(known.served) > behaviour.healthy_requests else None
        if wrong is Misbehaviour.SHORT:
            count = max(1, count // 2)
        self._stream(count, wrong, chat=chat)

    def _stream(self, count: int, wrong: Misbehaviour | None, *, chat: bool) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n"
        )
        assert self._served is not None
        self._start = self._served.received + self._behaviour.ttft_seconds
        self._count, self._wrong, self._chat = count, wrong, chat
        self._next(0)

    def _next(self, written: int) -> None:
        """Sets the timer of the next chunk; it goes out with its last token, all but the first: that starts the stream."""
        self._tokens, self._size = min(written + self._step, self._count), min(self._step, self._count - written)
        due = self._start + self._behaviour.token_seconds * (self._tokens - min(self._step, self._count))
        self._known.wheel.at(due, self._write_tokens)

    def _at(self, when: float, call: Callable[..., None], *arguments: object) -> None:
        self._timer = self._loop.call_at(when, call, *arguments)

    def _write_tokens(self) -> None:
        assert self._served is not None
        if self._transport.is_closing():
            return
        behaviour, tokens, size = self._behaviour, self._tokens, self._size
        if behaviour.counting is Counting.NONE and size == 1 and not behaviour.dribble_bytes:
            data = _rendered(tokens % len(WORDS), self._chat)
            self._served.writes.append(time.monotonic())
            self._transport.write(data)
        else:
            data = _event(self._tokens_event(tokens, size))
            self._served.writes.append(time.monotonic())
            self._write(data)
        self._served.tokens.append(size)
        if self._wrong in _ENDINGS and tokens >= behaviour.after_tokens:
            self._at(self._loop.time() + 1e-4, _ENDINGS[self._wrong], self)
        elif tokens < self._count:
            self._next(tokens)
        else:
            last = self._start + behaviour.token_seconds * (self._count - 1)
            self._at(last, self._finish)

    def _tokens_event(self, tokens: int, size: int) -> dict[str, Any]:
        assert self._served is not None
        event = _text_event("".join(WORDS[number % len(WORDS)] for number in range(tokens - size, tokens)), self._chat)
        if self._behaviour.counting is Counting.USAGE:
            event["usage"] = {"prompt_tokens": len(self._served.prompt), "completion_tokens": tokens}
        if self._behaviour.counting is Counting.TIMINGS:
            event["timings"] = {"predicted_n": tokens}
        return event

    def _finish(self) -> None:
        assert self._served is not None
        count, wrong = self._count, self._wrong
        content: dict[str, Any] = {"delta": {}} if self._chat else {"text": ""}
        self._write(_event(_document([{"index": 0, "finish_reason": "length", **content}], self._chat)))
        prompt = len(self._served.prompt) + (7 if wrong is Misbehaviour.LIE_PROMPT else 0)
        output = count + (5 if wrong is Misbehaviour.LIE_OUTPUT else 0)
        if wrong is not Misbehaviour.NO_USAGE:
            usage = {"prompt_tokens": prompt, "completion_tokens": output}
            self._write(_event(_document([], self._chat) | {"usage": usage}))
        self._write(b"data: [DONE]\n\n")
        self._served.complete = True
        self._transport.write(b"0\r\n\r\n")
        self._transport.close()

    def _write(self, data: bytes) -> None:
        """One HTTP chunk; dribbling cuts lines and letters apart, each piece in a chunk and a packet of its own."""
        size = self._behaviour.dribble_bytes or len(data)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            self._transport.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    def _stall(self) -> None:
        """Nothing more is written, and the connection stays open."""

    def _drop(self) -> None:
        self._transport.close()

    def _reset(self) -> None:
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _end_cleanly(self) -> None:
        self._transport.write(b"0\r\n\r\n")
        self._transport.close()

    def _error(self) -> None:
        self._write(_event({"error": {"message": "the engine ran out of KV cache blocks", "code": 500}}))
        self._end_cleanly()

    def _garbage(self) -> None:
        self._write(b"data: {this is no JSON\n\n")
        self._end_cleanly()

    def _ping(self) -> None:
        self._write(b": ping\n\n")
        self._at(self._loop.time() + 0.02, self._ping)


_ENDINGS: dict[Misbehaviour | None, Callable[[Connection], None]] = {
    Misbehaviour.STALL: Connection._stall,
    Misbehaviour.DROP: Connection._drop,
    Misbehaviour.RESET: Connection._reset,
    Misbehaviour.CLEAN_END: Connection._end_cleanly,
    Misbehaviour.STREAM_ERROR: Connection._error,
    Misbehaviour.GARBAGE: Connection._garbage,
    Misbehaviour.PINGS_ONLY: Connection._ping,
}


def _text_event(text: str, chat: bool) -> dict[str, Any]:
    content = {"delta": {"content": text}} if chat else {"text": text}
    return _document([{"index": 0, "finish_reason": None, **content}], chat)


def _document(choices: list[dict[str, Any]], chat: bool) -> dict[str, Any]:
    return {
        "id": "x",
        "object": "chat.completion.chunk" if chat else "text_completion",
        "model": "known",
        "choices": choices,
    }


@cache
def _rendered(word: int, chat: bool) -> bytes:
    """One token as an HTTP chunk, made once."""
    data = _event(_text_event(WORDS[word], chat))
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _event(document: object) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"
