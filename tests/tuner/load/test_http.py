import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.load.http import BrokenResponseError, Response

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def chunked(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"


def fed(data: bytes, cuts: list[int]) -> tuple[Response, bytes]:
    response, body, places = Response(), b"", sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    for start, end in itertools.pairwise(places):
        body += response.feed(data[start:end])
    return response, body


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 2000), max_size=30))
def test_a_chunked_body_is_the_same_wherever_the_network_cuts_it(pieces: list[bytes], cuts: list[int]) -> None:
    response, body = fed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(pieces), cuts)

    assert body == b"".join(pieces)
    assert response.is_complete


@given(st.binary(max_size=60), st.lists(st.integers(0, 2000), max_size=30))
def test_a_body_of_known_length_ends_with_it(body: bytes, cuts: list[int]) -> None:
    response, found = fed(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body + b"more", cuts)

    assert found == body
    assert response.is_complete


def test_a_body_of_unknown_length_lasts_until_the_connection_ends() -> None:
    response = Response()

    assert response.feed(HEAD + b"\r\nsome") + response.feed(b" more") == b"some more"
    assert response.ends_with_connection
    assert not response.is_complete


def test_what_a_server_says_before_its_answer_is_passed_over() -> None:
    response = Response()

    assert response.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno") == b"no"
    assert response.status == 404


def test_a_chunk_may_have_an_extension() -> None:
    assert Response().feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;name=value\r\nab\r\n0\r\n\r\n") == b"ab"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 yes\r\n\r\n",
        HEAD + b"Content-Length: many\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-4\r\nabcd\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 1000,
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(BrokenResponseError):
        Response().feed(data)
