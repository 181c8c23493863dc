"""Before a load: is anyone there, which fields does the engine take, and how long is a prompt in its own counting."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuner.load.client import Client, Limits, Request
from tuner.load.dialect import COUNTING_FIELDS, OPTIONAL_FIELDS, Dialect, judged
from tuner.load.endpoint import Interface
from tuner.load.errors import BrokenLoadError, RefusedError, UnreachableError
from tuner.load.prompts import PromptKind, Prompts
from tuner.load.records import ErrorKind, RequestRecord
from tuner.load.vocabulary import EngineTokenizer, FileTokenizer, Tokenizer, single_token_words, token_ids
from tuner.load.workload import Load, mean_of

PROBE_TOKENS: Final = 8
PROBE_LIMITS: Final = Limits(first_token_seconds=60.0, stall_seconds=10.0, request_seconds=120.0)
BUSY_STATUSES: Final = (429, 503)
BUSY_SECONDS: Final = 10.0
"""How long an engine may say that it is loading or busy."""
MOST_MARKS: Final = 2
"""Most tokens that an engine adds to a prompt that is no chat (begin marks)."""
MOST_TEMPLATE: Final = 2_000
"""Most tokens that a chat template adds."""
_REFUSALS: Final = (400, 404, 405, 422, 500, 501)


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found: how to speak and write prompts, and what one request alone sees (seconds)."""

    dialect: Dialect
    prompts: Prompts
    first_token_seconds: float
    token_seconds: float

    @property
    def counts_chunks(self) -> bool:
        """Whether the engine was asked to count the tokens of each chunk."""
        return any(self.dialect.fields.get(name) == value for name, value in COUNTING_FIELDS.items())

    @property
    def dropped_fields(self) -> tuple[str, ...]:
        """Fields that the engine refuses."""
        return tuple(name for name in OPTIONAL_FIELDS if name not in self.dialect.fields)


class _Refused(Exception):  # noqa: N818 - not an error: the answer to a try
    def __init__(self, message: str) -> None:
        self.message = message


async def probe(client: Client, load: Load, salt: int, tokenizer_file: Path | None = None) -> Probed:
    """Finds how the endpoint is to be spoken to, with a few short requests.

    Raises `UnreachableError`, `RefusedError`, and `BrokenLoadError` where requests are taken and go wrong.
    """
    await client.open()
    client.limits = PROBE_LIMITS
    tokenizer: Tokenizer = FileTokenizer(tokenizer_file) if tokenizer_file is not None else EngineTokenizer(client)
    whole = Dialect(client.endpoint.model, OPTIONAL_FIELDS)
    prompts = await _prompts(client, tokenizer, load, salt, _kinds(client)[0])
    tokens = max(1, round(mean_of(load.input)))
    tries = _Tries(client, tokens)
    try:
        return await _measured(tries, whole, prompts)
    except _Refused as refused:
        first = refused.message
    for kind in _kinds(client):
        prompts = await _prompts(client, tokenizer, load, salt, kind)
        minimal = whole.without(*OPTIONAL_FIELDS)
        if await tries.takes(minimal, prompts):
            return await _measured(tries, await _grown(tries, minimal, prompts), prompts)
    raise RefusedError(
        f"{client.endpoint.url} takes no request for model {client.endpoint.model!r}: {first}; check the model's name"
    )


def _kinds(client: Client) -> tuple[PromptKind, ...]:
    if client.endpoint.interface is Interface.CHAT:
        return (PromptKind.CHAT,)
    return (PromptKind.TOKENS, PromptKind.TEXT)


async def _prompts(client: Client, tokenizer: Tokenizer, load: Load, salt: int, kind: PromptKind) -> Prompts:
    if kind is PromptKind.TOKENS:
        pieces = [str(one) for one in await token_ids(client, tokenizer)]
    else:
        pieces = list(await single_token_words(tokenizer))
        if not pieces:
            raise RefusedError("no word is one token of this model, so that no exact prompt can be made of text")
    return Prompts(kind, pieces, salt, shared_prefix=load.shared_prefix)


async def _grown(tries: "_Tries", dialect: Dialect, prompts: Prompts) -> Dialect:
    """The dialect with each optional field that the engine takes, tried one at a time."""
    for name, value in OPTIONAL_FIELDS.items():
        if await tries.takes(dialect.having({name: value}), prompts):
            dialect = dialect.having({name: value})
    return dialect


async def _measured(tries: "_Tries", dialect: Dialect, prompts: Prompts) -> Probed:
    """One request of the load's mean length; another where the engine adds tokens, or sends several in a chunk."""
    record = await tries.ask(dialect, prompts, max(tries.tokens, prompts.least_tokens))
    added = (record.prompt_tokens or 0) - record.input_tokens
    if record.error is None and 0 < added <= (MOST_TEMPLATE if prompts.kind is PromptKind.CHAT else MOST_MARKS):
        prompts = prompts.with_overhead(added)
        record = await tries.ask(dialect, prompts, max(tries.tokens, prompts.least_tokens))
    record = judged(record, dialect)
    if record.error is not None:
        raise _failed(record)
    if len(record.chunk_seconds) != record.output_tokens:
        dialect = await _counting(tries, dialect, prompts)
    first, last = record.chunk_seconds[0], record.chunk_seconds[-1]
    assert record.output_tokens is not None
    token_seconds = (last - first) / max(1, record.output_tokens - 1)
    return Probed(dialect, prompts, first - record.scheduled, token_seconds)


async def _counting(tries: "_Tries", dialect: Dialect, prompts: Prompts) -> Dialect:
    """The dialect in which the engine counts the tokens of each chunk; the same again where it does not."""
    counting = dialect.having(COUNTING_FIELDS)
    for one in (counting, counting.without("timings_per_token"), dialect.having({"timings_per_token": True})):
        try:
            record = await tries.ask(one, prompts, prompts.least_tokens)
        except _Refused:
            continue
        return one if record.chunk_tokens is not None else dialect
    return dialect


def _failed(record: RequestRecord) -> BrokenLoadError:
    assert record.error is not None
    mend = _MENDS.get(record.error, "look into the engine's log")
    return BrokenLoadError(f"a single request fails: {record.detail}; {mend}", {record.error: 1}, 0)


_MENDS: Final[Mapping[ErrorKind, str]] = {
    ErrorKind.NO_USAGE: "tokens cannot be counted without; use an engine that answers `stream_options`",
    ErrorKind.WRONG_INPUT_COUNT: "give the model's own tokenizer, so that prompts have the asked length",
}


class _Tries:
    """Short requests, one after the other."""

    def __init__(self, client: Client, tokens: int) -> None:
        self.tokens = tokens
        self._client = client
        self._number = 0

    async def takes(self, dialect: Dialect, prompts: Prompts) -> bool:
        """Whether the engine takes a request, with the shortest of prompts."""
        try:
            await self.ask(dialect, prompts, prompts.least_tokens)
        except _Refused:
            return False
        return True

    async def ask(self, dialect: Dialect, prompts: Prompts, tokens: int) -> RequestRecord:
        """Sends one request; raises `_Refused` where the engine does not take it as it is, `EndpointError` if never."""
        deadline = self._client.clock() + BUSY_SECONDS
        while True:
            record = await self._once(dialect, prompts, tokens)
            if record.http_status not in BUSY_STATUSES or self._client.clock() > deadline:
                break
            await asyncio.sleep(0.25)
        if record.error is ErrorKind.REFUSED_CONNECTION:
            raise UnreachableError(
                f"nothing answers at {self._client.endpoint.base_url} ({record.detail}); start the engine"
            )
        if record.error is ErrorKind.HTTP_STATUS:
            if record.http_status in _REFUSALS:
                raise _Refused(record.detail or "")
            advice = _advice(record.http_status)
            raise RefusedError(f"{self._client.endpoint.url} refuses requests: {record.detail}; {advice}")
        return record

    async def _once(self, dialect: Dialect, prompts: Prompts, tokens: int) -> RequestRecord:
        self._number += 1
        body = dialect.body(prompts.render(-self._number, tokens), PROBE_TOKENS)
        request = Request(-self._number, self._client.clock(), tokens, PROBE_TOKENS, body)
        return await self._client.send(request)


def _advice(status: int | None) -> str:
    if status in (401, 403):
        return "give the key that it asks for"
    return "wait until it is ready" if status in BUSY_STATUSES else "look into the engine's log"
