import asyncio
import json
from collections.abc import Iterable

import pytest

from tests.tuner.load.behaviour import Behaviour, Counting, Misbehaviour
from tests.tuner.load.known_server import serving
from tuner.load.client import Client
from tuner.load.endpoint import Endpoint, Interface
from tuner.load.errors import BrokenLoadError, RefusedError
from tuner.load.probe import Probed, probe
from tuner.load.prompts import PromptKind
from tuner.load.records import ErrorKind
from tuner.load.workload import Fixed, Load

LOAD = Load(Fixed(40), Fixed(20))
LEAST = frozenset({"model", "prompt", "messages", "stream", "max_tokens"})


def probed(behaviour: Behaviour, interface: Interface = Interface.COMPLETIONS, key: str | None = None) -> Probed:
    with serving(behaviour) as (url, _):
        return asyncio.run(probe(Client(Endpoint(url, "known", key, interface)), LOAD, salt=3))


def test_one_request_is_enough_for_an_engine_that_takes_everything() -> None:
    with serving(Behaviour()) as (url, known):
        found = asyncio.run(probe(Client(Endpoint(url, "known")), LOAD, salt=3))

    assert found.prompts.kind is PromptKind.TOKENS
    assert found.dropped_fields == ()
    assert found.dialect.is_exact
    assert [len(one.prompt) for one in known.served] == [40]


def test_what_one_request_sees_alone_is_kept() -> None:
    found = probed(Behaviour(ttft_seconds=0.05, token_seconds=0.01))

    assert found.first_token_seconds >= 0.05
    assert 0.005 < found.token_seconds < 0.1


@pytest.mark.parametrize("dropped", [("ignore_eos", "min_tokens"), ("min_tokens",), ("ignore_eos",)])
def test_fields_that_an_engine_refuses_are_dropped_before_the_load(dropped: Iterable[str]) -> None:
    taken = LEAST | {"ignore_eos", "min_tokens", "stream_options"}
    found = probed(Behaviour(known_fields=taken - set(dropped)))

    assert set(found.dropped_fields) == set(dropped)
    assert found.prompts.kind is PromptKind.TOKENS


def test_an_engine_that_takes_no_ids_gets_text_of_as_many_tokens() -> None:
    with serving(Behaviour(token_prompts=False)) as (url, known):
        found = asyncio.run(probe(Client(Endpoint(url, "known")), LOAD, salt=3))

    assert found.prompts.kind is PromptKind.TEXT
    assert len(known.served[-1].prompt) == 40


def test_a_chat_is_text() -> None:
    assert probed(Behaviour(), Interface.CHAT).prompts.kind is PromptKind.CHAT


def test_an_engine_that_sends_several_tokens_a_chunk_is_asked_to_count_them() -> None:
    assert probed(Behaviour(tokens_per_chunk=3, counting=Counting.USAGE)).counts_chunks
    assert not probed(Behaviour(tokens_per_chunk=3)).counts_chunks
    assert not probed(Behaviour(counting=Counting.USAGE)).counts_chunks


def test_an_engine_that_is_still_loading_is_waited_for() -> None:
    assert probed(Behaviour(refusals=2)).dialect.is_exact


def test_a_wrong_key_is_said_to_be_one() -> None:
    with pytest.raises(RefusedError, match="give the key"):
        probed(Behaviour(key="right"), key="wrong")


def test_an_engine_that_takes_nothing_is_said_to_refuse() -> None:
    with pytest.raises(RefusedError, match="not permitted"):
        probed(Behaviour(known_fields=frozenset({"model"})))


@pytest.mark.parametrize(
    ("misbehaviour", "kind"),
    [
        (Misbehaviour.NO_USAGE, ErrorKind.NO_USAGE),
        (Misbehaviour.LIE_PROMPT, ErrorKind.WRONG_INPUT_COUNT),
        (Misbehaviour.STREAM_ERROR, ErrorKind.STREAM_ERROR),
        (Misbehaviour.SHORT, ErrorKind.WRONG_OUTPUT_COUNT),
    ],
)
def test_an_engine_that_cannot_be_measured_is_found_out_by_one_request(
    misbehaviour: Misbehaviour, kind: ErrorKind
) -> None:
    with pytest.raises(BrokenLoadError) as found:
        probed(Behaviour(misbehaviour=misbehaviour))

    assert found.value.errors == {kind: 1}


def test_ids_are_safe_for_a_small_vocabulary_of_known_size() -> None:
    found = probed(Behaviour(vocabulary=1000))
    ids = json.loads(b"{" + found.prompts.render(0, 500) + b"}")["prompt"]

    assert all(0 < one < 1000 for one in ids)
