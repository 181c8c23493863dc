import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tuner.load.conftest import MakeRecord, _record
from tuner.load.records import ErrorKind
from tuner.load.tokens import gaps_between, output_between

moments = st.lists(st.floats(0, 100), min_size=1, max_size=40).map(sorted)


@given(st.lists(moments, min_size=1, max_size=5))
def test_every_token_is_counted_once(streams: list[list[float]]) -> None:
    records = [_record(0.0, chunks) for chunks in streams]
    counted = output_between(records, np.array([0.0, 13.0, 55.0, 100.0]))

    assert counted.sum() == pytest.approx(sum(map(len, streams)))


def test_tokens_of_a_chunk_are_counted_when_it_came(record: MakeRecord) -> None:
    chunks = record(0.0, [1.0, 2.0], output_tokens=8, chunk_tokens=(1, 7))

    assert output_between([chunks], np.array([0.0, 1.5, 3.0])).tolist() == [1, 7]


def test_tokens_are_spread_over_the_chunks_where_the_engine_does_not_count_them(record: MakeRecord) -> None:
    chunks = record(0.0, [1.0, 2.0], output_tokens=8)

    assert output_between([chunks], np.array([0.0, 1.5, 3.0])).tolist() == [4, 4]


def test_what_was_cut_brought_tokens_and_what_failed_did_not(record: MakeRecord) -> None:
    cut = record(0.0, [1.0], cut=True, output_tokens=None)
    failed = record(0.0, [1.0], error=ErrorKind.RESET)

    assert output_between([cut, failed], np.array([0.0, 2.0])).tolist() == [1]


def test_gaps_are_those_that_end_in_the_window_whoever_s_they_are_in_order_of_time(record: MakeRecord) -> None:
    one, other = record(0.0, [1.0, 2.0, 4.0]), record(0.0, [0.5, 3.5])
    gaps, sure = gaps_between([one, other], 1.9, 4.0)

    assert gaps.tolist() == [1000.0, 3000.0, 2000.0]
    assert sure == 1.0


def test_a_chunk_of_several_tokens_is_as_many_equal_gaps(record: MakeRecord) -> None:
    chunks = record(0.0, [1.0, 1.4], output_tokens=5, chunk_tokens=(1, 4))

    assert gaps_between([chunks], 0.0, 2.0)[0] == pytest.approx([100.0] * 4)


def test_gaps_of_chunks_that_nobody_counts_are_not_known(record: MakeRecord) -> None:
    unknown, known = record(0.0, [1.0, 2.0], output_tokens=9), record(0.0, [1.0, 2.0])
    gaps, sure = gaps_between([unknown, known], 0.0, 3.0)

    assert gaps.tolist() == [1000.0]
    assert sure == 0.5
