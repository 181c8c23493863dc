"""A load in a process of its own finds and raises what one in this process does."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.tuner.load.behaviour import Behaviour, Misbehaviour
from tests.tuner.load.known_server import serving
from tests.tuner.load.test_measure import QUICK, load
from tuner.load.apart import LoadProcesses
from tuner.load.endpoint import Endpoint
from tuner.load.errors import (
    BrokenLoadError,
    CancelledLoadError,
    ClientDiedError,
    LostEngineError,
    SlowClientError,
    UnreachableError,
)
from tuner.load.records import ErrorKind, read_records
from tuner.load.result import LoadResult
from tuner.trial import Failure, FailureKind

SLOW = Behaviour(ttft_seconds=0.05, token_seconds=0.03)


class Steady:
    """A meter of 100 W."""

    def read(self) -> float:
        return 100 * time.monotonic()


@pytest.fixture(scope="module")
def processes() -> Iterator[LoadProcesses]:
    with LoadProcesses() as opened:
        yield opened


def measured(processes: LoadProcesses, url: str, **watchers: Any) -> LoadResult:
    """The result of a load that no busy machine kept late."""
    for _ in range(4):
        try:
            return processes.measure_load(Endpoint(url, "known"), load(), QUICK, **watchers)
        except SlowClientError:
            continue
    raise AssertionError("the machine is too busy for a load of a hundred tokens per second")


def test_figures_windows_energy_and_records_come_back(processes: LoadProcesses, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl.gz"
    with serving(SLOW) as (url, _):
        before = time.monotonic()
        result = measured(processes, url, meter=Steady(), records_path=path)

    window = result.windows[0]
    assert result.metrics["tpot_p50_ms"] == pytest.approx(30.0, rel=0.2)
    assert before < window.start.moment < window.end.moment < time.monotonic()
    assert window.joules == pytest.approx(100 * window.seconds, rel=0.02)
    assert len(list(read_records(path))) >= result.counts.whole


def test_an_error_comes_back_with_what_it_carries(processes: LoadProcesses) -> None:
    with (
        serving(Behaviour(misbehaviour=Misbehaviour.DROP, healthy_requests=2)) as (url, _),
        pytest.raises(BrokenLoadError) as caught,
    ):
        measured(processes, url)
    assert sum(caught.value.errors.values()) > 0
    assert all(isinstance(kind, ErrorKind) for kind in caught.value.errors)


def test_where_nobody_answers_nothing_is_loaded(processes: LoadProcesses) -> None:
    with pytest.raises(UnreachableError):
        measured(processes, "http://127.0.0.1:9")


def test_the_death_of_an_engine_and_a_cancellation_reach_it(processes: LoadProcesses) -> None:
    gone = Failure(FailureKind.CRASHED, "it died")
    with serving(SLOW) as (url, _):
        with pytest.raises(LostEngineError) as caught:
            measured(processes, url, alive=lambda: gone)
        with pytest.raises(CancelledLoadError):
            measured(processes, url, cancelled=lambda: True)
    assert caught.value.failure == gone


def test_what_was_said_of_one_load_does_not_hold_for_the_next(processes: LoadProcesses) -> None:
    with serving(SLOW) as (url, _):
        with pytest.raises(CancelledLoadError):
            measured(processes, url, cancelled=lambda: True)
        assert measured(processes, url).counts.failed == 0


def test_a_process_that_is_killed_is_an_error_of_the_client(processes: LoadProcesses) -> None:
    me = psutil.Process()

    def killed() -> bool:
        loading = [child for child in me.children(recursive=True) if _loads(child)]
        for child in loading:
            os.kill(child.pid, signal.SIGKILL)
        return False

    with serving(SLOW) as (url, _), pytest.raises(ClientDiedError, match="status"):
        measured(processes, url, cancelled=killed)


def _loads(process: psutil.Process) -> bool:
    """Whether it holds a connection, as a load does and a fork server does not."""
    try:
        return bool(process.net_connections("tcp"))
    except psutil.Error:
        return False
