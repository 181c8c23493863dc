"""The search space: blocks of deployments that share their load settings, enumerable and indexable without a list."""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

from tuner.configuration import Configuration


@dataclass(frozen=True, slots=True)
class LoadSetting:
    """The knobs that need no other engine to be built: scheduler limits and the load of one replica."""

    max_batch_size: int
    max_num_tokens: int
    concurrency: int
    chunked_prefill: bool


@dataclass(frozen=True, slots=True)
class Block:
    """One deployment (parallelism and precision) with each of its load settings."""

    deployment: Configuration
    settings: tuple[LoadSetting, ...]

    def configuration(self, index: int) -> Configuration:
        """The deployment under its load setting number `index`."""
        setting = self.settings[index]
        return replace(
            self.deployment,
            max_batch_size=setting.max_batch_size,
            max_num_tokens=setting.max_num_tokens,
            concurrency=setting.concurrency,
            chunked_prefill=setting.chunked_prefill,
        )


class Space(Sequence[Configuration]):
    """Every legal configuration of a job, in a fixed order."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = tuple(block for block in blocks if block.settings)
        self._ends = list(itertools.accumulate(len(block.settings) for block in self.blocks))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Configuration: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Configuration]: ...
    def __getitem__(self, index: int | slice) -> Configuration | Sequence[Configuration]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"the space has {len(self)} configurations; {index} is outside")
        block = bisect.bisect_right(self._ends, place)
        start = self._ends[block - 1] if block else 0
        return self.blocks[block].configuration(place - start)

    def __iter__(self) -> Iterator[Configuration]:
        for block in self.blocks:
            for index in range(len(block.settings)):
                yield block.configuration(index)
