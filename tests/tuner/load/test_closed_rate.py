"""How sure the rates of a closed loop are: as its requests are, however much its streams move in step."""

from dataclasses import dataclass

import numpy as np
import pytest

from tests.tuner.load.conftest import MakeRecord
from tuner.load.arrivals import Arrivals, Closed, Open
from tuner.load.columns import Columns
from tuner.load.plan import OUTPUT_RATE, Plan
from tuner.load.records import RequestRecord
from tuner.load.statistics import relative_half_width
from tuner.load.summary import Figures, summarise
from tuner.load.windows import Mark, Window

STREAMS, TOKENS, PROMPT_SECONDS, TOKEN_SECONDS = 4, 20, 0.5, 0.05
TRUE_RATE = STREAMS * TOKENS / (PROMPT_SECONDS + TOKENS * TOKEN_SECONDS)


@dataclass(frozen=True)
class Rounds:
    """A server whose streams move in step: all prompts, then all tokens, a little uneven from round to round."""

    record: MakeRecord
    unevenness: float

    def records(self, seconds: float, seed: int) -> list[RequestRecord]:
        """What such a server does for so long."""
        random, now, found = np.random.default_rng(seed), 0.0, list[RequestRecord]()
        while now < seconds:
            pace = float(np.exp(random.normal(0, self.unevenness)))
            first = now + PROMPT_SECONDS * pace
            moments = [first + pace * TOKEN_SECONDS * token for token in range(1, TOKENS + 1)]
            found += [self.record(now, moments) for _ in range(STREAMS)]
            now = moments[-1]
        return found


def summed(records: list[RequestRecord], start: float, end: float, arrivals: Arrivals) -> Figures:
    columns = Columns()
    for one in records:
        columns.add(one)
    return summarise(records, columns.served(), (Window(Mark(start), Mark(end)),), Plan(), arrivals)


def test_streams_in_step_are_no_doubt_of_their_rate(record: MakeRecord) -> None:
    records = Rounds(record, 0.02).records(40, seed=1)
    counted = summed(records, 3.0, 18.0, Open(1.0))
    closed = summed(records, 3.0, 18.0, Closed(STREAMS))

    assert closed.values == counted.values
    wide = relative_half_width(counted.intervals[OUTPUT_RATE], counted.values[OUTPUT_RATE])
    narrow = relative_half_width(closed.intervals[OUTPUT_RATE], closed.values[OUTPUT_RATE])
    assert wide is not None
    assert narrow is not None
    assert wide > 0.2
    assert narrow < 0.1


@pytest.mark.parametrize("seconds", [8.0, 15.0, 60.0])
def test_the_interval_holds_the_true_rate_about_as_often_as_it_says(record: MakeRecord, seconds: float) -> None:
    hits = 0
    for seed in range(200):
        records = Rounds(record, 0.1).records(seconds + 10, seed)
        interval = summed(records, 3.0, 3.0 + seconds, Closed(STREAMS)).intervals[OUTPUT_RATE]
        hits += interval[0] <= TRUE_RATE <= interval[1]

    assert hits >= 0.88 * 200


def test_few_requests_have_no_interval(record: MakeRecord) -> None:
    found = summed(Rounds(record, 0.1).records(1, 0), 0.0, 2.0, Closed(STREAMS))

    assert OUTPUT_RATE not in found.intervals
    assert "requests_per_second" not in found.intervals
