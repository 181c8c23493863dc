import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tuner.load.known_connection import tokens_of
from tuner.load.prompts import STREAM_TOKENS, PromptKind, Prompts

IDS = [str(number) for number in range(100, 400)]
WORDS = ["sun", "tree", "snow", "river", "moon", "time", "year", "way"] * 4


def ids(prompts: Prompts, number: int, tokens: int) -> list[int]:
    found = json.loads(b"{" + prompts.render(number, tokens) + b"}")["prompt"]
    return found if isinstance(found, list) else tokens_of(found)


@pytest.fixture(scope="module", params=[(PromptKind.TOKENS, 0.0), (PromptKind.TOKENS, 0.3), (PromptKind.TEXT, 1.0)])
def prompts(request: pytest.FixtureRequest) -> Prompts:
    """Prompts of ids and of text, with and without a shared prefix."""
    kind, shared = request.param
    return Prompts(kind, IDS if kind is PromptKind.TOKENS else WORDS, 1, shared_prefix=shared)


@given(st.integers(1, 3000), st.integers(-9, 10**6))
def test_a_prompt_has_exactly_the_asked_tokens(prompts: Prompts, tokens: int, number: int) -> None:
    assert len(ids(prompts, number, tokens)) == tokens


def test_a_prompt_may_be_longer_than_the_stream_it_is_cut_from() -> None:
    assert len(ids(Prompts(PromptKind.TOKENS, IDS, 1), 5, 2 * STREAM_TOKENS + 7)) == 2 * STREAM_TOKENS + 7


def test_tokens_of_the_engine_s_own_make_the_prompt_shorter() -> None:
    prompts = Prompts(PromptKind.TOKENS, IDS, 1).with_overhead(3)

    assert len(ids(prompts, 0, 10)) == 7
    assert prompts.least_tokens == 4


def test_no_two_prompts_begin_alike() -> None:
    prompts = Prompts(PromptKind.TOKENS, IDS, 1)
    beginnings = {tuple(ids(prompts, number, 8)) for number in range(2000)}

    assert len(beginnings) == 2000


def test_prompts_differ_from_run_to_run() -> None:
    assert ids(Prompts(PromptKind.TOKENS, IDS, 1), 0, 20) != ids(Prompts(PromptKind.TOKENS, IDS, 2), 0, 20)


def test_a_shared_prefix_is_shared_and_the_rest_is_not() -> None:
    prompts = Prompts(PromptKind.TOKENS, IDS, 1, shared_prefix=0.5)
    one, other = ids(prompts, 1, 40), ids(prompts, 2, 60)

    assert one[:20] == other[:20]
    assert one[20:28] != other[20:28]
    assert one[20:28] != other[30:38]


def test_a_chat_prompt_is_one_message() -> None:
    found = json.loads(b"{" + Prompts(PromptKind.CHAT, WORDS, 1).render(0, 5) + b"}")

    assert [message["role"] for message in found["messages"]] == ["user"]
    assert len(tokens_of(found["messages"][0]["content"])) == 5
