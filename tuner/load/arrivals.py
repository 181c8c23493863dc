"""When requests come: a closed loop, or an open one at a rate or as a trace recorded it."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

ARRIVAL_STREAM: Final = 0
"""Stream of the seed that arrivals are drawn from."""
DRAWN_AT_ONCE: Final = 1024


@dataclass(frozen=True, slots=True)
class Closed:
    """So many requests are always in flight: each stream sends its next one when the last has ended."""

    concurrency: int


@dataclass(frozen=True, slots=True)
class Open:
    """Requests per second that come whether or not others have ended.

    `burstiness` is the shape of the gamma distribution of their gaps, as in vLLM's benchmark: 1 is Poisson, less comes
    in bursts, `None` is a constant rate.
    """

    rate: float
    burstiness: float | None = 1.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """Requests come when a trace says, in seconds since its start, in order; it begins again after a mean gap."""

    seconds: tuple[float, ...]


Arrivals = Closed | Open | Replayed


def offsets(arrivals: Open | Replayed, seed: int) -> Iterator[float]:
    """Seconds from the start of the load to each request, rising, without end."""
    if isinstance(arrivals, Replayed):
        return _replayed(arrivals.seconds)
    if arrivals.burstiness is None:
        return (number / arrivals.rate for number in itertools.count())
    return _gamma(arrivals.rate, arrivals.burstiness, seed)


def rate_of(arrivals: Arrivals) -> float | None:
    """Requests per second that are offered on average; `None` in a closed loop."""
    match arrivals:
        case Closed():
            return None
        case Open(rate, _):
            return rate
        case Replayed(seconds):
            return len(seconds) / _period(seconds)


def _gamma(rate: float, burstiness: float, seed: int) -> Iterator[float]:
    generator = np.random.default_rng([seed, ARRIVAL_STREAM])
    now = 0.0
    while True:
        for gap in generator.gamma(burstiness, 1.0 / (rate * burstiness), DRAWN_AT_ONCE):
            now += float(gap)
            yield now


def _replayed(seconds: tuple[float, ...]) -> Iterator[float]:
    period = _period(seconds)
    for lap in itertools.count():
        for moment in seconds:
            yield moment - seconds[0] + lap * period


def _period(seconds: tuple[float, ...]) -> float:
    """Seconds from a trace's first request to the first of its next lap; a trace of one moment repeats each second."""
    span = seconds[-1] - seconds[0]
    return span * len(seconds) / (len(seconds) - 1) if span > 0 else 1.0
