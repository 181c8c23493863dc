"""The answer half of HTTP/1.1, read as bytes come in.

Not a library's client, because of what was measured (2026-11-25, 64 streams of 50 tokens a second, two busy cores): with
a task to wake for each piece of a stream aiohttp takes 95 to 110 µs of CPU a token, this takes 71 to 73, and aiohttp's
tokens are noted only after all others that came with them (ITL p99 wrong by 2 to 7 ms, against 0.1 to 1).
"""

from typing import Final

MOST_HEAD_BYTES: Final = 64 * 1024
MOST_SIZE_LINE: Final = 256
_HEAD_END: Final = b"\r\n\r\n"
_LINE_END: Final = b"\r\n"


class BrokenResponseError(ValueError):
    """What came is no HTTP answer."""


class Response:
    """One answer: its status and headers once they are there, and its body piece by piece.

    `is_complete` tells whether the whole body came, where its length is known or it comes in chunks.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.is_complete = False
        self._buffer = b""
        self._is_chunked = False
        self._left: int | None = None
        """Bytes until the end of the body or of the chunk; `None` where the end of the connection ends the body."""
        self._is_between_chunks = True

    @property
    def ends_with_connection(self) -> bool:
        """Whether the body lasts until the connection is closed."""
        return self.status is not None and not self._is_chunked and self._left is None

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body that these bytes complete; raises `BrokenResponseError`."""
        if self.is_complete:
            return b""
        if self.status is None:
            data = self._head(data)
            if self.status is None:
                return b""
        if self._is_chunked:
            return self._chunks(data)
        if self._left is None:
            return data
        piece = data[: self._left]
        self._left -= len(piece)
        self.is_complete = self._left == 0
        return piece

    def _head(self, data: bytes) -> bytes:
        self._buffer += data
        while self.status is None:
            head, separator, rest = self._buffer.partition(_HEAD_END)
            if not separator:
                if len(self._buffer) > MOST_HEAD_BYTES:
                    raise BrokenResponseError("the head of the answer does not end")
                return b""
            self._buffer = rest
            status, headers = _parse_head(head)
            # 100 to 199 come before the answer itself
            if status >= 200:
                self.status, self.headers = status, headers
        self._frame()
        rest, self._buffer = self._buffer, b""
        return rest

    def _frame(self) -> None:
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            self._is_chunked = True
            return
        length = self.headers.get("content-length")
        if self.status in (204, 304):
            length = "0"
        if length is not None:
            if not length.isdigit():
                raise BrokenResponseError(f"content-length is {length[:40]!r}")
            self._left = int(length)
            self.is_complete = self._left == 0

    def _chunks(self, data: bytes) -> bytes:
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        elif self._is_between_chunks:
            whole = _one_chunk(data)
            if whole is not None:
                return whole
        pieces: list[bytes] = []
        place = 0
        while place < len(data):
            if self._is_between_chunks:
                end = data.find(_LINE_END, place)
                if end < 0:
                    if len(data) - place > MOST_SIZE_LINE:
                        raise BrokenResponseError("the size of a chunk does not end")
                    break
                size = _chunk_size(data[place:end])
                place = end + 2
                if size == 0:
                    # trailers, which no engine sends, are passed over
                    self.is_complete = True
                    return b"".join(pieces)
                self._left, self._is_between_chunks = size + 2, False
            assert self._left is not None
            piece = data[place : place + self._left]
            place += len(piece)
            self._left -= len(piece)
            # the last two bytes are the line end after the chunk
            pieces.append(piece[: len(piece) + min(0, self._left - 2)])
            self._is_between_chunks = self._left == 0
        self._buffer = data[place:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise BrokenResponseError(f"no HTTP/1.1 answer: {first[:80]!r}")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(words[1]), headers


def _one_chunk(data: bytes) -> bytes | None:
    """The body of data that is exactly one chunk, as nearly all are; else `None`."""
    end = data.find(_LINE_END, 0, MOST_SIZE_LINE)
    if end <= 0 or data[-2:] != _LINE_END:
        return None
    size = _chunk_size(data[:end])
    return data[end + 2 : -2] if size and len(data) == end + size + 4 else None


def _chunk_size(line: bytes) -> int:
    try:
        size = int(line.partition(b";")[0], 16)
    except ValueError:
        size = -1
    if size < 0:
        raise BrokenResponseError(f"the size of a chunk is {line[:40]!r}")
    return size
