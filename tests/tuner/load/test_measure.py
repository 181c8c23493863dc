import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tuner.load.behaviour import Behaviour, Counting, Misbehaviour
from tests.tuner.load.known_log import Known
from tests.tuner.load.known_server import serving
from tuner.load import lateness
from tuner.load.arrivals import Arrivals, Closed, Open, Replayed
from tuner.load.client import Limits
from tuner.load.endpoint import Endpoint
from tuner.load.errors import (
    BrokenLoadError,
    CancelledLoadError,
    LostEngineError,
    OverloadError,
    SlowClientError,
    UnreachableError,
)
from tuner.load.measure import measure_load
from tuner.load.plan import Plan
from tuner.load.records import ErrorKind, read_records
from tuner.load.result import LoadResult, Standing
from tuner.load.workload import Fixed, Load, Normal
from tuner.trial import Failure, FailureKind

QUICK = Plan(
    seconds=1.5,
    window_seconds=0.4,
    warm_up_seconds=0.1,
    precision=0.2,
    limits=Limits(first_token_seconds=2.0, stall_seconds=0.5),
    wanted=("tpot_mean_ms",),
)
BRISK = Behaviour(ttft_seconds=0.02, token_seconds=0.005)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine, and a server in the same process, make the client late; only one test asks about that."""
    monkeypatch.setattr(lateness, "LAG_FLOOR_MS", 30.0)
    monkeypatch.setattr(lateness, "SEND_FLOOR_MS", 100.0)


FOUR_STREAMS = Closed(4)


def load(arrivals: Arrivals = FOUR_STREAMS, **changes: Any) -> Load:
    return Load(**{"input": Fixed(30), "output": Fixed(20), "arrivals": arrivals, **changes})


def measured(url: str, asked: Load | None = None, plan: Plan = QUICK, **watchers: Any) -> LoadResult:
    return measure_load(Endpoint(url, "known"), asked or load(), plan, **watchers)


def wait_until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def nothing_left(known: Known) -> bool:
    return wait_until(lambda: known.open == 0)


def test_what_is_measured_is_what_the_server_did() -> None:
    with serving(BRISK) as (url, known):
        result = measured(url)

    assert result.metrics["tpot_p50_ms"] == pytest.approx(5.0, rel=0.2)
    assert 20.0 <= result.metrics["ttft_p50_ms"] < 60.0
    assert result.metrics["itl_mean_ms"] == pytest.approx(5.0, rel=0.2)
    assert result.output_tokens_per_second == pytest.approx(4 * 20 / 0.115, rel=0.3)
    assert result.counts.failed == 0
    assert nothing_left(known)


def test_every_request_has_the_asked_tokens_and_none_is_sent_twice() -> None:
    with serving(BRISK) as (url, known):
        measured(url, load(input=Normal(30, 10), output=Normal(10, 3)))

    prompts = [tuple(one.prompt) for one in known.served]
    assert len(set(prompts)) == len(prompts)
    assert len({len(prompt) for prompt in prompts}) > 5


def test_a_closed_loop_keeps_its_streams_busy_and_starts_them_apart() -> None:
    with serving(BRISK) as (url, known):
        measured(url)

    starts = sorted(one.received for one in known.served[1:5])
    gaps = [later - sooner for sooner, later in itertools.pairwise(starts)]
    assert all(gap > 0.005 for gap in gaps)
    ends = sorted(one.writes[-1] for one in known.served if one.complete)
    middle = ends[len(ends) // 2]
    assert sum(one.received <= middle <= one.writes[-1] for one in known.served if one.writes) >= 3


@pytest.mark.parametrize("arrivals", [Open(20.0), Open(20.0, None), Open(20.0, 0.5), Replayed((0.0, 0.04, 0.1, 0.15))])
def test_an_open_load_arrives_whether_or_not_others_have_ended(arrivals: Arrivals) -> None:
    with serving(BRISK) as (url, known):
        result = measured(url, load(arrivals))

    assert 5 < result.counts.whole < 80
    assert result.metrics["requests_per_second"] > 5
    assert nothing_left(known)


def test_the_window_leaves_the_warm_up_out_and_is_on_the_monotonic_clock() -> None:
    with serving(BRISK) as (url, _):
        before = time.monotonic()
        result = measured(url)

    first, last = result.windows[0].start.moment, result.windows[-1].end.moment
    assert before < first < last < time.monotonic()
    assert result.warm_up_seconds >= 0.1
    assert result.window_seconds >= 0.4


def test_windows_are_added_until_the_figures_are_exact_enough_or_the_time_is_over() -> None:
    with serving(BRISK) as (url, _):
        soon = measured(url)
        never = measured(url, plan=Plan(seconds=1.5, window_seconds=0.4, warm_up_seconds=0.1, precision=1e-9))

    assert len(soon.windows) == 1
    assert soon.is_exact
    assert len(never.windows) > 1
    assert not never.is_exact
    assert all(one.end == other.start for one, other in itertools.pairwise(never.windows))


def test_the_meter_is_read_at_the_ends_of_each_window() -> None:
    class Steady:
        def __init__(self) -> None:
            self.readings: list[float] = []

        def read(self) -> float:
            self.readings.append(200.0 * time.monotonic())
            return self.readings[-1]

    meter = Steady()
    with serving(BRISK) as (url, _):
        result = measured(url, meter=meter, plan=Plan(seconds=1.5, window_seconds=0.4, warm_up_seconds=0.1, gpus=1))

    assert len(meter.readings) == len(result.windows) + 1
    assert result.metrics["power_watts_per_gpu"] == pytest.approx(200.0, rel=0.05)
    expected = 200.0 / result.output_tokens_per_second
    assert result.metrics["energy_joules_per_output_token"] == pytest.approx(expected, rel=0.05)


def test_without_a_meter_there_is_no_energy() -> None:
    with serving(BRISK) as (url, _):
        assert "energy_joules_per_output_token" not in measured(url).metrics


def test_several_tokens_a_chunk_have_gaps_where_the_engine_counts_them() -> None:
    with serving(Behaviour(0.02, 0.005, tokens_per_chunk=4, counting=Counting.USAGE)) as (url, _):
        counted = measured(url)
    with serving(Behaviour(0.02, 0.005, tokens_per_chunk=4)) as (url, _):
        silent = measured(url)

    assert counted.metrics["itl_p50_ms"] == pytest.approx(5.0, rel=0.2)
    assert "itl_p50_ms" not in silent.metrics
    assert silent.output_tokens_per_second == pytest.approx(counted.output_tokens_per_second, rel=0.3)


@pytest.mark.parametrize(
    ("misbehaviour", "kind"),
    [
        (Misbehaviour.STALL, ErrorKind.STALLED),
        (Misbehaviour.PINGS_ONLY, ErrorKind.STALLED),
        (Misbehaviour.DROP, ErrorKind.TRUNCATED),
        (Misbehaviour.RESET, ErrorKind.RESET),
        (Misbehaviour.STREAM_ERROR, ErrorKind.STREAM_ERROR),
        (Misbehaviour.LIE_OUTPUT, ErrorKind.WRONG_OUTPUT_COUNT),
    ],
)
def test_an_engine_that_goes_wrong_under_the_load_breaks_it_within_seconds(
    misbehaviour: Misbehaviour, kind: ErrorKind
) -> None:
    behaviour = Behaviour(0.02, 0.005, misbehaviour=misbehaviour, healthy_requests=8)
    with serving(behaviour) as (url, known):
        begun = time.monotonic()
        with pytest.raises(BrokenLoadError, match=kind.value) as found:
            measured(url, plan=Plan(seconds=30, limits=QUICK.limits))

        assert found.value.errors.keys() == {kind}
        assert found.value.finished > 0
        assert time.monotonic() - begun < 10
        assert nothing_left(known)


def test_one_failure_among_many_is_counted_and_forgiven() -> None:
    plan = Plan(seconds=1.5, window_seconds=0.4, warm_up_seconds=0.1, precision=0.2, failed_share=1.0)
    behaviour = Behaviour(0.02, 0.005, misbehaviour=Misbehaviour.DROP, healthy_requests=12)
    with serving(behaviour) as (url, _):
        result = measured(url, plan=plan)

    assert result.errors[ErrorKind.TRUNCATED] == result.counts.failed > 0


def test_the_death_of_an_engine_ends_its_load_within_a_second() -> None:
    died = time.monotonic() + 1.0
    dead = Failure(FailureKind.CRASHED, "out of luck")
    with serving(BRISK) as (url, _):
        with pytest.raises(LostEngineError, match="out of luck") as found:
            measured(url, plan=Plan(seconds=30), alive=lambda: dead if time.monotonic() > died else None)

        assert found.value.failure is dead
        assert time.monotonic() - died < 3


def test_failing_requests_of_an_engine_that_died_are_its_death() -> None:
    dead = Failure(FailureKind.CRASHED, "out of luck")
    behaviour = Behaviour(0.02, 0.005, misbehaviour=Misbehaviour.RESET, healthy_requests=8)
    with serving(behaviour) as (url, known), pytest.raises(LostEngineError):
        measured(url, plan=Plan(seconds=30), alive=lambda: dead if len(known.served) > 14 else None)


def test_a_caller_can_stop_a_load_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.7, stop.set).start()
    path = tmp_path / "records.jsonl.gz"
    with serving(BRISK) as (url, known):
        with pytest.raises(CancelledLoadError):
            measured(url, plan=Plan(seconds=30), cancelled=stop.is_set, records_path=path)

        assert nothing_left(known)
    assert any(record.is_whole for record in read_records(path))


def test_every_request_has_its_record(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl.gz"
    with serving(BRISK) as (url, _):
        result = measured(url, records_path=path)

    records = list(read_records(path))
    assert len(records) == result.counts.whole + result.counts.failed + result.counts.cut
    assert sum(record.is_whole for record in records) == result.counts.whole
    assert {record.number for record in records} == set(range(len(records)))


def test_a_rate_beyond_the_engine_is_refused() -> None:
    plan = Plan(seconds=2.0, limits=Limits(first_token_seconds=30, stall_seconds=30), most_in_flight=50)
    with serving(Behaviour(ttft_seconds=1.0)) as (url, _), pytest.raises(OverloadError, match="lower rate"):
        measured(url, load(Open(200.0)), plan)


def test_a_result_where_the_client_was_the_limit_is_refused() -> None:
    def slow() -> None:
        time.sleep(0.2)

    with serving(BRISK) as (url, _), pytest.raises(SlowClientError, match="the client was the limit") as found:
        measured(url, alive=slow)

    assert found.value.lateness.loop_lag_mean_ms > 30


def test_a_load_in_which_nothing_ends_has_no_figures() -> None:
    with serving(Behaviour(token_seconds=0.05)) as (url, _), pytest.raises(OverloadError, match="no steady window"):
        measured(url, load(output=Fixed(500)))


def test_progress_is_told_by_phase() -> None:
    told: list[Standing] = []
    with serving(BRISK) as (url, _):
        measured(url, plan=Plan(seconds=2.0, window_seconds=1.0, warm_up_seconds=0.2), progress=told.append)

    assert told[0].phase == "probing"
    assert {standing.phase for standing in told} <= {"probing", "warming up", "measuring"}


def test_details_are_plain_data() -> None:
    with serving(BRISK) as (url, _):
        details = measured(url).details()

    assert json.loads(json.dumps(details)) == details
    assert {"client_lateness", "requests", "window_seconds", "overhead_seconds"} <= details.keys()


def test_where_nobody_answers_nothing_is_loaded() -> None:
    with pytest.raises(UnreachableError):
        measured("http://127.0.0.1:1")
