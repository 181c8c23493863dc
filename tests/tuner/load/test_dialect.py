import json

import pytest

from tests.tuner.load.conftest import MakeRecord
from tuner.load.dialect import OPTIONAL_FIELDS, Dialect, judged
from tuner.load.records import ErrorKind

WHOLE = Dialect("m", OPTIONAL_FIELDS)
LEAST = WHOLE.without(*OPTIONAL_FIELDS)


def test_a_body_asks_for_exactly_the_output() -> None:
    body = json.loads(WHOLE.body(b'"prompt":[1,2]', 30))

    assert (body["max_tokens"], body["min_tokens"], body["ignore_eos"]) == (30, 30, True)
    assert (body["model"], body["prompt"], body["stream"]) == ("m", [1, 2], True)


def test_fields_that_an_engine_refuses_are_left_out() -> None:
    assert set(json.loads(LEAST.body(b'"prompt":"a"', 1))) == {"model", "stream", "max_tokens", "prompt"}


def test_a_request_that_went_as_asked_is_whole(record: MakeRecord) -> None:
    assert judged(record(0.0, [1.0, 2.0]), WHOLE).is_whole


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"prompt_tokens": 11}, ErrorKind.WRONG_INPUT_COUNT),
        ({"output_tokens": 1}, ErrorKind.WRONG_OUTPUT_COUNT),
        ({"output_tokens": 3}, ErrorKind.WRONG_OUTPUT_COUNT),
        ({"output_tokens": None}, ErrorKind.NO_USAGE),
        ({"prompt_tokens": None}, ErrorKind.NO_USAGE),
        ({"chunk_seconds": ()}, ErrorKind.MALFORMED),
    ],
)
def test_counts_that_are_missing_or_wrong_are_errors(
    record: MakeRecord, changes: dict[str, object], kind: ErrorKind
) -> None:
    asked = {"asked_tokens": 2, **changes}
    chunks = asked.pop("chunk_seconds", [1.0, 2.0])
    assert isinstance(chunks, list | tuple)

    assert judged(record(0.0, list(chunks), **asked), WHOLE).error is kind


def test_an_engine_that_cannot_be_held_to_a_length_may_stop_sooner(record: MakeRecord) -> None:
    short = record(0.0, [1.0, 2.0], asked_tokens=9)

    assert judged(short, LEAST).is_whole
    assert judged(short, WHOLE).error is ErrorKind.WRONG_OUTPUT_COUNT


def test_fewer_tokens_than_pieces_of_text_is_a_lie(record: MakeRecord) -> None:
    assert judged(record(0.0, [1.0, 2.0, 3.0], output_tokens=2), LEAST).error is ErrorKind.WRONG_OUTPUT_COUNT


def test_what_failed_already_keeps_its_error(record: MakeRecord) -> None:
    assert judged(record(error=ErrorKind.RESET), WHOLE).error is ErrorKind.RESET
    assert judged(record(cut=True), WHOLE).error is None
