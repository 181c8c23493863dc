"""The small parts of a run: hang watch, log, ports, records, identity, environment."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.engines.environment import RUN_VARIABLE, clean_environment
from tuner.engines.errors import EngineError
from tuner.engines.hang import HangWatch, Patience, Work
from tuner.engines.log import NewLines, tail
from tuner.engines.ports import PORTS, free_port, strangers_on
from tuner.engines.records import Ledger, Record
from tuner.identity import identity_of, is_alive

PATIENCE = Patience(idle_seconds=10, silent_seconds=30)


def test_output_and_work_are_signs_of_life() -> None:
    watch = HangWatch(PATIENCE, now=0)
    assert [watch.seen(second, 100 * (second // 9), Work()) for second in range(1, 100)] == [None] * 99
    watch = HangWatch(PATIENCE, now=0)
    assert [watch.seen(second, 0, Work(0.5 * second)) for second in range(1, 30)] == [None] * 29


def test_a_slow_disk_is_a_sign_of_life() -> None:
    watch = HangWatch(PATIENCE, now=0)
    assert [watch.seen(second, 0, Work(0.0, 4096 * second)) for second in range(1, 30)] == [None] * 29


def test_neither_output_nor_work_is_a_hang() -> None:
    watch = HangWatch(PATIENCE, now=0)
    watch.seen(1, 50, Work(1.0))
    assert [watch.seen(second, 50, Work(1.0 + second / 1000)) for second in range(2, 11)] == [None] * 9
    assert "did nothing for 10 s" in str(watch.seen(11, 50, Work(1.011)))


def test_work_without_output_is_a_hang_in_the_end() -> None:
    watch = HangWatch(PATIENCE, now=0)
    assert "though it was at work" in str([watch.seen(second, 0, Work(float(second))) for second in range(1, 31)][-1])


def test_a_tail_starts_at_a_line_and_holds_no_broken_letter(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes("first line\nzweite Zeile: ü\nlast \0 line\n".encode())
    assert tail(path, 1000).startswith("first line\n")
    assert tail(path, 30) == "last � line\n"
    assert "\0" not in tail(path, 30)
    assert tail(tmp_path / "none", 10) == ""


def test_new_lines_come_whole_and_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    news = NewLines(path)
    assert news.read() == ""
    with path.open("wb", buffering=0) as file:
        file.write(b"one\ntw")
        assert news.read() == "one"
        assert news.read() == ""
        file.write(b"o\nthree\n")
        assert news.read() == "two\nthree"


def test_a_chosen_port_is_free_and_not_taken() -> None:
    taken = {port for port in PORTS if port != 31_999 and port % 2}
    port = free_port(taken)
    assert port in PORTS
    assert port not in taken


def test_strangers_are_named_and_ours_are_not() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        port = server.getsockname()[1]
        assert strangers_on(port, {os.getpid()}) == []
        [other] = strangers_on(port, {1})
        assert str(os.getpid()) in other
    assert strangers_on(port, {os.getpid()}) == ["nobody of ours"]


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs")
    record = Record.new("vllm", 20_001, (tmp_path / "a.yaml",)).kept_by(identity_of(os.getpid()))
    ledger.write(record)
    assert ledger.records() == [record]
    assert ledger.ports() == {20_001}
    ledger.remove(record.run)
    ledger.remove(record.run)
    assert ledger.records() == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"run": 1, "owner": 2, "keeper": null}'])
def test_a_file_that_is_no_record_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.json").write_text(text)
    assert Ledger(tmp_path).records() == []
    assert (tmp_path / "odd.json").exists()


def test_a_ledger_that_cannot_be_written_says_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="PARETUNE_DATA_DIR"):
        Ledger(tmp_path / "file").write(Record.new("vllm", 20_000))


def test_a_dead_process_has_no_identity() -> None:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        identity = identity_of(process.pid)
        assert identity is not None
        assert is_alive(identity)
        assert not is_alive(type(identity)(process.pid, "another time"))
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert identity_of(process.pid) is None, "only a zombie is left"
    assert not is_alive(identity)


def test_an_engine_sees_nothing_of_paretune() -> None:
    inherited = {"PATH": "/bin", "PARETUNE_API_KEYS": "secret", "VIRTUAL_ENV": "/x", "PYTHONPATH": "/y", "HOME": "/h"}
    seen = clean_environment(inherited, {"HOME": "/mine"}, run="r1", devices=("GPU-a",))
    assert seen == {
        "PATH": "/bin",
        "HOME": "/mine",
        "PYTHONUNBUFFERED": "1",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "GPU-a",
        RUN_VARIABLE: "r1",
    }
