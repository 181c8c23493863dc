"""A server that lies, stalls, dies or shares its port: each becomes the right failure, and nothing is left."""

import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.tuner.engines.conftest import STAND_IN, MakePlan, eventually, processes_with
from tuner.engines import attempt
from tuner.engines.base import LOG_TAIL_BYTES
from tuner.engines.errors import EngineError, EngineFailedError, StartCancelledError
from tuner.engines.hang import Patience
from tuner.engines.plan import ServerPlan
from tuner.engines.ports import free_port, is_free
from tuner.engines.records import Ledger
from tuner.engines.running import RunningServer
from tuner.trial import Failure, FailureKind


def start_failure(plan: ServerPlan, ledger: Ledger) -> Failure:
    with RunningServer(plan, ledger) as running, pytest.raises(EngineFailedError) as caught:
        running.wait_ready()
    assert ledger.records() == []
    return caught.value.failure


@pytest.mark.parametrize(
    ("flags", "kind", "said"),
    [
        (("--say", "torch.OutOfMemoryError: tried to allocate 2 GiB", "--exit-with", "1"), "out_of_memory", "2 GiB"),
        (("--say", "Unknown quantization method: x", "--exit-with", "1"), "unsupported", "Unknown quantization"),
        (("--say", "hello", "--exit-with", "3"), "crashed", "status 3 before it was ready; its last line: hello"),
        (("--exit-with", "0"), "crashed", "exited with status 0 before it was ready; it wrote nothing"),
        (("--kill-with", "11"), "crashed", "SIGSEGV"),
        (("--say", "EngineCore failed to start.", "--hang", "idle"), "crashed", "EngineCore failed to start"),
    ],
)
def test_a_start_that_fails_is_named(
    make_plan: MakePlan, ledger: Ledger, flags: tuple[str, ...], kind: str, said: str
) -> None:
    failure = start_failure(make_plan(*flags), ledger)
    assert failure.kind == kind
    assert said in failure.detail


@pytest.mark.parametrize(
    ("flags", "changes", "said"),
    [
        (("--hang", "idle", "--say", "loading"), {"patience": Patience(1.5, 60)}, "did nothing"),
        (("--hang", "busy", "--say", "loading"), {"patience": Patience(60, 1.5)}, "was at work"),
        (("--ready-after", "60"), {"start_timeout_seconds": 1.0}, "not ready after 1 s"),
    ],
)
def test_a_start_that_hangs_ends(
    make_plan: MakePlan, ledger: Ledger, flags: tuple[str, ...], changes: dict[str, object], said: str
) -> None:
    failure = start_failure(make_plan(*flags, **changes), ledger)
    assert failure.kind is FailureKind.START_TIMEOUT
    assert said in failure.detail


def test_a_kill_by_the_kernel_is_out_of_memory(
    make_plan: MakePlan, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([4, *[5] * 50])
    monkeypatch.setattr(attempt, "kernel_kills", lambda: next(counts))
    assert start_failure(make_plan("--kill-with", "9"), ledger).kind is FailureKind.OUT_OF_MEMORY


def test_a_server_that_dies_in_a_request_says_why(make_plan: MakePlan, ledger: Ledger) -> None:
    plan = make_plan("--die-in-request", "torch.OutOfMemoryError: CUDA out of memory.")
    with RunningServer(plan, ledger) as running:
        address = running.wait_ready()
        connection = http.client.HTTPConnection(address.host, address.port, timeout=5)
        with suppress(http.client.HTTPException, OSError):
            connection.request("POST", "/v1/completions", "{}")
            connection.getresponse()
        assert eventually(lambda: running.failure() is not None, 1.0)
        assert running.failure() == Failure(FailureKind.OUT_OF_MEMORY, "torch.OutOfMemoryError: CUDA out of memory.")


def test_a_server_that_says_it_is_dead_but_goes_on_is_dead(make_plan: MakePlan, ledger: Ledger) -> None:
    with RunningServer(make_plan("--say-later", "EngineDeadError: it died"), ledger) as running:
        running.wait_ready()
        assert eventually(lambda: running.failure() is not None, 3.0)
        assert running.failure() == Failure(FailureKind.CRASHED, "EngineDeadError: it died")


def test_a_healthy_server_has_no_failure_and_a_stopped_one_neither(make_plan: MakePlan, ledger: Ledger) -> None:
    with RunningServer(make_plan(), ledger) as running:
        running.wait_ready()
        assert running.failure() is None
    assert running.failure() is None


def test_a_start_is_called_off_within_a_moment(make_plan: MakePlan, ledger: Ledger, mark: str) -> None:
    running = RunningServer(make_plan("--hang", "idle"), ledger)
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(StartCancelledError):
        running.wait_ready(stop.is_set)
    assert processes_with(mark) == []


def test_what_the_server_did_not_take_as_asked_is_a_failure(make_plan: MakePlan, ledger: Ledger) -> None:
    wrong = Failure(FailureKind.UNSUPPORTED, "2 slots in place of 4")
    assert start_failure(make_plan(check=lambda _address: wrong), ledger) == wrong


def test_a_server_that_ignores_the_request_to_end_is_killed(make_plan: MakePlan, ledger: Ledger, mark: str) -> None:
    with RunningServer(make_plan("--ignore-term"), ledger) as running:
        running.wait_ready()
    assert processes_with(mark) == []


def test_a_child_that_left_the_group_is_ended(make_plan: MakePlan, ledger: Ledger, mark: str) -> None:
    with RunningServer(make_plan("--leave-child"), ledger) as running:
        running.wait_ready()
        assert len(processes_with(mark)) == 3
    assert processes_with(mark) == []


def test_a_child_that_left_the_group_of_a_killed_keeper_is_ended(
    make_plan: MakePlan, ledger: Ledger, mark: str
) -> None:
    with RunningServer(make_plan("--leave-child"), ledger) as running:
        running.wait_ready()
        [record] = ledger.records()
        assert record.keeper is not None
        for process in processes_with(mark):
            if process.pid == record.keeper.pid:
                process.kill()
        assert eventually(lambda: running.failure() is not None, 1.0)
    assert processes_with(mark) == []


@contextmanager
def stranger(port: int, *flags: str) -> Iterator[None]:
    """Somebody else's server on a port."""
    command = [sys.executable, "-I", "-S", STAND_IN, "--port", str(port), *flags]
    with subprocess.Popen(command) as process:
        assert eventually(lambda: not is_free(port))
        yield
        process.kill()


@pytest.mark.parametrize("shares", [(), ("--share-port",)])
def test_a_port_that_a_stranger_took_is_changed(make_plan: MakePlan, ledger: Ledger, shares: tuple[str, ...]) -> None:
    taken = free_port()
    ports = iter([taken, free_port([taken])])
    with stranger(taken, *shares), RunningServer(make_plan(*shares), ledger, lambda _taken: next(ports)) as running:
        address = running.wait_ready()
        assert address.port != taken
        assert running.facts()["starts"] == 2
        assert running.log_path.with_name("engine.1.log").exists()
    assert ledger.records() == []


def test_two_taken_ports_are_lost(make_plan: MakePlan, ledger: Ledger) -> None:
    first, second = free_port(), free_port()
    ports = iter([first, second])
    with (
        stranger(first),
        stranger(second),
        RunningServer(make_plan(), ledger, lambda _taken: next(ports)) as running,
        pytest.raises(EngineFailedError) as caught,
    ):
        running.wait_ready()
    assert caught.value.failure.kind is FailureKind.LOST


def test_temporary_files_end_with_the_server(make_plan: MakePlan, ledger: Ledger, tmp_path: Path) -> None:
    made = tmp_path / "engine.yaml"
    made.write_text("x: 1")
    with RunningServer(make_plan(files=(made,)), ledger) as running:
        running.wait_ready()
        assert made.exists()
    assert not made.exists()


def test_a_long_log_is_kept_whole_and_shown_by_its_end(make_plan: MakePlan, ledger: Ledger) -> None:
    words = [word for _ in range(4) for word in ("--say", "ü" * 30_000)]
    with RunningServer(make_plan(*words, "--say", "the end"), ledger) as running:
        running.wait_ready()
    assert running.log_path.stat().st_size > 4 * 60_000
    tail = running.log_tail()
    assert len(tail.encode()) <= LOG_TAIL_BYTES
    assert tail.rstrip().endswith("the end")


def test_a_folder_that_cannot_be_written_is_the_machines_fault(
    make_plan: MakePlan, ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="PARETUNE_DATA_DIR"):
        RunningServer(make_plan(folder=tmp_path / "file" / "trial"), ledger)
    assert ledger.records() == []


def test_fifty_rounds_leave_no_process_port_or_file(
    make_plan: MakePlan, ledger: Ledger, tmp_path: Path, mark: str
) -> None:
    def rounds(name: str) -> set[int]:
        ports = set()
        for number in range(10):
            flags = ("--leave-child",) if number == 5 else ()
            with RunningServer(make_plan(*flags, folder=tmp_path / "trials" / name), ledger) as running:
                ports.add(running.wait_ready().port)
        return ports

    with ThreadPoolExecutor(5) as pool:
        ports = set().union(*pool.map(rounds, "abcde"))
    assert processes_with(mark) == []
    assert all(is_free(port) for port in ports)
    assert {path.name for path in (tmp_path / "trials").rglob("*.*")} == {"engine.log"}
    assert list(ledger.folder.iterdir()) == []


def test_a_server_that_answers_503_for_ever_hangs_though_it_logs_our_asking(
    make_plan: MakePlan, ledger: Ledger
) -> None:
    plan = make_plan("--ready-after", "60", "--log-requests", patience=Patience(60, 2.0))
    failure = start_failure(plan, ledger)
    assert failure.kind is FailureKind.START_TIMEOUT
    assert "wrote nothing" in failure.detail


@pytest.mark.parametrize("flags", [("--ready-after", "60"), ("--hang", "idle")])
def test_a_server_that_is_killed_while_it_starts_has_crashed(
    make_plan: MakePlan, ledger: Ledger, mark: str, flags: tuple[str, ...]
) -> None:
    with RunningServer(make_plan(*flags), ledger) as running:
        [record] = ledger.records()
        assert record.keeper is not None
        assert eventually(lambda: len(processes_with(mark)) == 2)
        for process in processes_with(mark):
            if process.pid != record.keeper.pid:
                process.kill()
        with pytest.raises(EngineFailedError) as caught:
            running.wait_ready()
    assert caught.value.failure.kind is FailureKind.CRASHED
    assert "before it was ready" in caught.value.failure.detail


def test_a_server_that_stands_still_is_killed(make_plan: MakePlan, ledger: Ledger, mark: str) -> None:
    with RunningServer(make_plan(), ledger) as running:
        running.wait_ready()
        for process in processes_with(mark):
            process.suspend()
        for process in processes_with(mark):
            process.resume() if "keeper" in " ".join(process.cmdline()) else None
    assert processes_with(mark) == []


def test_an_unknown_complaint_of_a_taken_port_is_not_the_configurations_fault(
    make_plan: MakePlan, ledger: Ledger
) -> None:
    taken = [free_port() for _ in range(2)]
    ports = iter(taken)
    with stranger(taken[0]), stranger(taken[1]):
        plan = make_plan("--say", "something odd", "--exit-with", "1", ready_path="/no/such/path")
        running = RunningServer(plan, ledger, lambda _taken: next(ports))
        with pytest.raises(EngineFailedError) as caught:
            running.wait_ready()
    assert caught.value.failure.kind is FailureKind.LOST


def test_a_listener_that_never_answers_is_not_ready(make_plan: MakePlan, ledger: Ledger) -> None:
    program = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"
    plan = make_plan(
        arguments=lambda port: (sys.executable, "-I", "-S", "-c", program, str(port)), start_timeout_seconds=1.0
    )
    assert start_failure(plan, ledger).kind is FailureKind.START_TIMEOUT


def test_facts_are_plain_data(make_plan: MakePlan, ledger: Ledger) -> None:
    with RunningServer(make_plan(), ledger) as running:
        running.wait_ready()
        assert json.loads(json.dumps(running.facts()))["engine"] == "command"


def test_an_open_port_of_ours_is_not_offered_twice(ledger: Ledger, make_plan: MakePlan) -> None:
    seen: list[set[int]] = []

    def choose(taken: object) -> int:
        seen.append(set(taken))  # type: ignore[call-overload]
        return free_port(seen[-1])

    with RunningServer(make_plan(), ledger, choose) as first, RunningServer(make_plan(), ledger, choose) as second:
        assert first.wait_ready().port != second.wait_ready().port
    assert seen[1] == {first.wait_ready().port}


def test_ports_of_sockets_are_seen_as_taken() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        assert not is_free(server.getsockname()[1])
