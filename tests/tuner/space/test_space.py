"""The space as a sequence: every configuration once, by number, without a list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.configuration import Configuration
from tuner.space.space import Block, LoadSetting, Space

SETTINGS = tuple(LoadSetting(8, 8192, concurrency, False) for concurrency in (1, 2, 4, 8, 16))


def space(*sizes: int) -> Space:
    """Blocks with so many load settings each; block number n has n replicas."""
    return Space(
        [Block(Configuration("vllm", "h100_sxm", replicas=n), SETTINGS[:size]) for n, size in enumerate(sizes, 1)]
    )


def test_a_block_puts_its_settings_on_its_deployment() -> None:
    block = Block(Configuration("vllm", "h100_sxm", tensor_parallel=4), (LoadSetting(32, 4096, 64, True),))

    expected = Configuration(
        "vllm",
        "h100_sxm",
        tensor_parallel=4,
        max_batch_size=32,
        max_num_tokens=4096,
        concurrency=64,
        chunked_prefill=True,
    )
    assert block.configuration(0) == expected


@given(st.lists(st.integers(0, 5), max_size=6))
def test_numbers_walk_the_same_way_as_iteration(sizes: list[int]) -> None:
    whole = space(*sizes)
    listed = list(whole)

    assert len(whole) == len(listed) == sum(sizes)
    assert [whole[number] for number in range(len(whole))] == listed
    assert [whole[number - len(whole)] for number in range(len(whole))] == listed
    assert len(set(listed)) == len(listed)


@given(st.lists(st.integers(0, 5), max_size=6), st.slices(12))
def test_a_slice_is_that_of_the_list(sizes: list[int], part: slice) -> None:
    whole = space(*sizes)

    assert list(whole[part]) == list(whole)[part]


@pytest.mark.parametrize("index", [3, -4, 10**9])
def test_outside_is_an_error(index: int) -> None:
    with pytest.raises(IndexError, match="the space has 3 configurations"):
        space(3)[index]


def test_nothing_is_a_space_too() -> None:
    assert len(space()) == 0
    assert list(space(0, 0)) == []
