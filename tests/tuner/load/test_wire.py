import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.load.wire import Event, Lines, MalformedEventError, error_message, read_event


def event(**document: object) -> Event:
    return read_event(json.dumps(document).encode())


@given(st.lists(st.text(alphabet="abü日 {}", max_size=12), max_size=6), st.integers(1, 7))
def test_payloads_are_the_same_wherever_the_bytes_were_split(texts: list[str], size: int) -> None:
    data = "".join(f": ping\n\ndata: {text}\n\n" for text in texts).encode()
    lines, found = Lines(), []
    for start in range(0, len(data), size):
        found += lines.feed(data[start : start + size])

    assert [payload.decode() for payload in found] == [text.strip() for text in texts]


def test_text_is_a_token_in_both_interfaces() -> None:
    assert event(choices=[{"text": "a", "finish_reason": None}]).has_text
    assert event(choices=[{"delta": {"content": "a"}, "finish_reason": None}]).has_text
    assert event(choices=[{"delta": {"reasoning_content": "a"}}]).has_text


def test_a_role_alone_is_no_token() -> None:
    found = event(choices=[{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}])

    assert not found.has_text
    assert found.has_choice


def test_the_last_words_count_the_tokens() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
    found = event(choices=[], usage=usage)

    assert (found.final_prompt, found.final_output, found.cached) == (7, 3, 4)
    assert not found.has_choice


def test_a_chunk_may_say_how_many_tokens_there_are_so_far() -> None:
    assert event(choices=[{"text": "a"}], timings={"predicted_n": 5}).tokens_so_far == 5
    assert event(choices=[{"text": "a"}], usage={"completion_tokens": 6}).tokens_so_far == 6


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"message": "no memory"}},
        {"error": "no memory"},
        {"error": {"message": "no memory"}, "choices": [{"text": "a", "finish_reason": None}]},
    ],
)
def test_an_error_in_the_stream_is_one_whatever_its_shape(document: dict[str, object]) -> None:
    assert read_event(json.dumps(document).encode()).error == "no memory"


@pytest.mark.parametrize("payload", [b"{", b"[1]", b"\xff", b'{"a": 1} {"b": 2}', b""])
def test_what_is_no_event_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedEventError):
        read_event(payload)


def test_a_long_message_is_shortened() -> None:
    assert len(error_message({"detail": "x" * 5000})) <= 300
