import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.tuner.load.behaviour import Behaviour, Counting, Misbehaviour
from tests.tuner.load.known_server import serving
from tuner.load.client import Client, Limits, Request
from tuner.load.dialect import OPTIONAL_FIELDS, Dialect, judged
from tuner.load.endpoint import Endpoint, Interface
from tuner.load.errors import UnreachableError
from tuner.load.records import ErrorKind, RequestRecord

Run = Callable[[Coroutine[Any, Any, RequestRecord]], RequestRecord]
DIALECT = Dialect("known", OPTIONAL_FIELDS)
SHORT = Limits(first_token_seconds=1.0, stall_seconds=0.4)


async def sent(
    url: str, output_tokens: int = 6, limits: Limits = SHORT, prompt: bytes = b'"prompt":[1,2,3]'
) -> RequestRecord:
    client = Client(Endpoint(url, "known"))
    await client.open()
    client.limits = limits
    watching = asyncio.create_task(client.watch_limits())
    body = DIALECT.body(prompt, output_tokens)
    try:
        return judged(await client.send(Request(0, client.clock(), 3, output_tokens, body)), DIALECT)
    finally:
        watching.cancel()


def test_a_request_is_followed_token_by_token(run: Run) -> None:
    with serving(Behaviour(ttft_seconds=0.05, token_seconds=0.01)) as (url, known):
        record = run(sent(url))

    assert record.is_whole
    assert (record.prompt_tokens, record.output_tokens, len(record.chunk_seconds)) == (3, 6, 6)
    assert [one >= other for one, other in zip(record.chunk_seconds, known.served[0].writes, strict=True)] == [True] * 6
    assert record.scheduled <= record.begun <= (record.sent or 0) <= record.chunk_seconds[0]


def test_tokens_are_counted_by_the_engine_not_by_chunks(run: Run) -> None:
    with serving(Behaviour(tokens_per_chunk=4)) as (url, _):
        record = run(sent(url, output_tokens=10))

    assert record.is_whole
    assert (record.output_tokens, len(record.chunk_seconds), record.chunk_tokens) == (10, 3, None)


@pytest.mark.parametrize("counting", [Counting.USAGE, Counting.TIMINGS])
def test_an_engine_may_count_the_tokens_of_each_chunk(run: Run, counting: Counting) -> None:
    with serving(Behaviour(tokens_per_chunk=4, counting=counting)) as (url, _):
        assert run(sent(url, output_tokens=10)).chunk_tokens == (4, 4, 2)


def test_a_stream_that_dribbles_is_whole(run: Run) -> None:
    with serving(Behaviour(dribble_bytes=3)) as (url, _):
        record = run(sent(url))

    assert record.is_whole
    assert len(record.chunk_seconds) == 6


@pytest.mark.parametrize(
    ("misbehaviour", "kind"),
    [
        (Misbehaviour.STALL, ErrorKind.STALLED),
        (Misbehaviour.PINGS_ONLY, ErrorKind.STALLED),
        (Misbehaviour.DROP, ErrorKind.TRUNCATED),
        (Misbehaviour.CLEAN_END, ErrorKind.TRUNCATED),
        (Misbehaviour.RESET, ErrorKind.RESET),
        (Misbehaviour.STREAM_ERROR, ErrorKind.STREAM_ERROR),
        (Misbehaviour.GARBAGE, ErrorKind.MALFORMED),
        (Misbehaviour.NO_USAGE, ErrorKind.NO_USAGE),
        (Misbehaviour.LIE_PROMPT, ErrorKind.WRONG_INPUT_COUNT),
        (Misbehaviour.LIE_OUTPUT, ErrorKind.WRONG_OUTPUT_COUNT),
        (Misbehaviour.SHORT, ErrorKind.WRONG_OUTPUT_COUNT),
    ],
)
def test_every_misbehaviour_has_its_name(run: Run, misbehaviour: Misbehaviour, kind: ErrorKind) -> None:
    with serving(Behaviour(misbehaviour=misbehaviour)) as (url, _):
        record = run(sent(url))

    assert record.error is kind
    assert record.detail


def test_an_engine_that_never_begins_is_given_up(run: Run) -> None:
    with serving(Behaviour(ttft_seconds=60)) as (url, _):
        record = run(sent(url, limits=Limits(first_token_seconds=0.3, stall_seconds=5)))

    assert record.error is ErrorKind.TIMED_OUT


def test_a_request_may_take_only_so_long(run: Run) -> None:
    with serving(Behaviour(token_seconds=0.1)) as (url, _):
        record = run(sent(url, output_tokens=100, limits=Limits(request_seconds=0.4)))

    assert record.error is ErrorKind.TIMED_OUT
    assert record.chunk_seconds


def test_a_refusal_says_why(run: Run) -> None:
    with serving(Behaviour(refusals=1)) as (url, _):
        record = run(sent(url))

    assert (record.error, record.http_status) == (ErrorKind.HTTP_STATUS, 503)
    assert "loading model" in (record.detail or "")


def test_a_server_that_is_gone_refuses_connections(run: Run) -> None:
    async def after_its_end() -> RequestRecord:
        with serving(Behaviour()) as (url, _):
            client = Client(Endpoint(url, "known"))
            await client.open()
        return await client.send(Request(0, client.clock(), 3, 1, DIALECT.body(b'"prompt":[1]', 1)))

    assert run(after_its_end()).error is ErrorKind.REFUSED_CONNECTION


def test_a_chat_is_asked_with_the_engine_s_key(run: Run) -> None:
    async def asked(url: str) -> RequestRecord:
        client = Client(Endpoint(url, "known", "secret", Interface.CHAT))
        await client.open()
        body = DIALECT.body(b'"messages":[{"role":"user","content":"sun tree"}]', 4)
        return await client.send(Request(0, client.clock(), 2, 4, body))

    with serving(Behaviour(key="secret")) as (url, _):
        record = run(asked(url))

    assert record.is_whole
    assert record.prompt_tokens == 2


def test_a_cut_request_is_neither_whole_nor_failed(run: Run) -> None:
    async def cut(url: str) -> RequestRecord:
        client = Client(Endpoint(url, "known"))
        await client.open()
        sending = asyncio.create_task(
            client.send(Request(0, client.clock(), 1, 500, DIALECT.body(b'"prompt":[1]', 500)))
        )
        await asyncio.sleep(0.1)
        client.cut_all()
        return await sending

    with serving(Behaviour()) as (url, _):
        record = run(cut(url))

    assert record.cut
    assert record.error is None
    assert not record.is_whole


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_where_nothing_answers_is_said_at_once(run: Run, url: str) -> None:
    with pytest.raises(UnreachableError, match="check the URL"):
        run(sent(url))
