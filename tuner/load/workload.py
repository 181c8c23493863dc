"""What is sent to an engine: how long each request is, when it comes, and how much of the prompts is common."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tuner.load.arrivals import Arrivals, Closed
from tuner.space.lengths import TraceRequest, trace_of
from tuner.spec_workload import NormalLength, TraceLength, Workload

LENGTH_STREAMS: Final = (1, 2)
"""Streams of the seed that input and output lengths are drawn from; arrivals have their own."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Every request has as many tokens."""

    tokens: int


@dataclass(frozen=True, slots=True)
class Normal:
    """Token counts of a normal distribution, rounded, never below one."""

    mean: float
    stdev: float


@dataclass(frozen=True, slots=True)
class Uniform:
    """Token counts equally likely between two bounds, both included; InferenceX draws from 80 to 100 % of a length."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Traced:
    """Token counts in the order of a trace, which begins again at its end."""

    tokens: tuple[int, ...]


Length = Fixed | Normal | Uniform | Traced


@dataclass(frozen=True, slots=True)
class Load:
    """What an engine is loaded with.

    `shared_prefix`: the share of each prompt, from its start, that all prompts have in common (0 to 1). `seed` draws
    lengths and arrivals; the prompts' own tokens differ from run to run, so that no engine has seen them before.
    """

    input: Length
    output: Length
    arrivals: Arrivals = field(default_factory=lambda: Closed(1))
    shared_prefix: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.shared_prefix <= 1.0:
            raise ValueError(f"shared_prefix is {self.shared_prefix}; give a share between 0 and 1")

    def lengths(self) -> Iterator[tuple[int, int]]:
        """Input and output tokens of each request, without end."""
        inputs, outputs = (
            _drawn(length, self.seed, stream)
            for length, stream in zip((self.input, self.output), LENGTH_STREAMS, strict=True)
        )
        return zip(inputs, outputs, strict=False)


def mean_of(length: Length) -> float:
    """The mean token count of a length."""
    match length:
        case Fixed(tokens):
            return tokens
        case Normal(mean, _):
            return mean
        case Uniform(least, most):
            return (least + most) / 2
        case Traced(tokens):
            return sum(tokens) / len(tokens)


def load_of(workload: Workload, arrivals: Arrivals, seed: int = 0) -> Load:
    """The load of a job's workload, with the arrivals that the caller chose; raises `SpecError` for a bad trace."""
    trace = trace_of(workload)
    return Load(
        input=_length(workload.input_tokens, [request.input_tokens for request in trace]),
        output=_length(workload.output_tokens, [request.output_tokens for request in _output_trace(workload, trace)]),
        arrivals=arrivals,
        shared_prefix=workload.shared_prefix,
        seed=seed,
    )


def _output_trace(workload: Workload, trace: tuple[TraceRequest, ...]) -> tuple[TraceRequest, ...]:
    """The trace of the outputs, which may be another than that of the prompts."""
    output = workload.output_tokens
    if not isinstance(output, TraceLength):
        return ()
    return trace if workload.input_tokens == output else trace_of(workload.model_copy(update={"input_tokens": 1}))


def _length(asked: int | NormalLength | TraceLength, traced: list[int]) -> Length:
    if isinstance(asked, TraceLength):
        return Traced(tuple(traced))
    if isinstance(asked, NormalLength):
        return Normal(asked.mean, asked.stdev)
    return Fixed(asked)


def _drawn(length: Length, seed: int, stream: int) -> Iterator[int]:
    generator = np.random.default_rng([seed, stream])
    match length:
        case Fixed(tokens):
            yield from itertools.repeat(tokens)
        case Traced(tokens):
            yield from itertools.cycle(tokens)
        case Uniform(least, most):
            while True:
                yield int(generator.integers(least, most, endpoint=True))
        case Normal(mean, stdev):
            while True:
                yield max(1, math.floor(generator.normal(mean, stdev) + 0.5))
