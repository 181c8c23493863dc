"""What engines start from is made once, whole, and by one process at a time."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tuner.engines.conftest import eventually
from tuner.engines.artefacts import ArtefactCache, content_key
from tuner.engines.errors import BuildError, StartCancelledError

ROOT = Path(__file__).parents[3]
SLOW_BUILD = """
import sys, time
from collections.abc import Callable
from pathlib import Path
from tuner.engines.artefacts import ArtefactCache

def make(part):
    with open(sys.argv[1] + "/builds", "a") as builds:
        builds.write("x")
    part.write_text("half")
    time.sleep(float(sys.argv[2]))
    part.write_text("whole")

artefact = ArtefactCache(Path(sys.argv[1])).get("key", ".gguf", make)
print(artefact.was_cached)
"""


def written(part: Path) -> None:
    part.write_text("whole")


def builder(folder: Path, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SLOW_BUILD, str(folder), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    cache = ArtefactCache(tmp_path)
    first = cache.get("key", ".gguf", written)
    again = cache.get("key", ".gguf", lambda part: pytest.fail("made again"))
    assert (first.was_cached, again.was_cached) == (False, True)
    assert first.path == again.path
    assert again.build_seconds == first.build_seconds
    assert again.size_bytes == len("whole")


def test_two_processes_build_it_once(tmp_path: Path) -> None:
    builders = [builder(tmp_path, 0.5) for _ in range(2)]
    said = sorted(str(process.communicate(timeout=30)[0]).strip() for process in builders)
    assert said == ["False", "True"]
    assert (tmp_path / "builds").read_text() == "x"


def test_a_killed_build_is_made_anew(tmp_path: Path) -> None:
    process = builder(tmp_path, 60)
    assert eventually((tmp_path / "key.gguf.part").exists, 10)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    made = ArtefactCache(tmp_path).get("key", ".gguf", written)
    assert made.path is not None
    assert made.path.read_text() == "whole"
    assert not (tmp_path / "key.gguf.part").exists()


def test_a_failed_build_leaves_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    def fail(part: Path) -> None:
        part.write_text("half")
        raise BuildError("no")

    cache = ArtefactCache(tmp_path)
    with pytest.raises(BuildError):
        cache.get("key", ".gguf", fail)
    assert not list(tmp_path.glob("*.gguf*"))
    assert not cache.get("key", ".gguf", written).was_cached


def test_waiting_for_another_build_can_be_called_off(tmp_path: Path) -> None:
    process = builder(tmp_path, 60)
    assert eventually((tmp_path / "key.gguf.part").exists, 10)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    started = time.monotonic()
    with pytest.raises(StartCancelledError):
        ArtefactCache(tmp_path).get("key", ".gguf", lambda part: None, stop.is_set)
    assert time.monotonic() - started < 5
    process.kill()
    process.communicate()


def test_the_key_is_of_the_content_not_of_the_name(tmp_path: Path) -> None:
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(text)
    keys = {name: content_key(tmp_path / name, "q8_0") for name in "abc"}
    assert keys["a"] == keys["b"] != keys["c"]
    assert content_key(tmp_path / "a", "q4_0") != keys["a"]


def sized(size: int) -> Callable[[Path], None]:
    def make(part: Path) -> None:
        part.mkdir()
        (part / "weights").write_bytes(bytes(size))

    return make


def test_the_least_lately_used_go_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    for number, key in enumerate("abc"):
        ArtefactCache(tmp_path).get(key, ".fp8", sized(100))
        os.utime(tmp_path / f"{key}.fp8.json", (number, number))
    ArtefactCache(tmp_path).get("a", ".fp8", lambda part: pytest.fail("made again"))
    kept = ArtefactCache(tmp_path, most_bytes=250)
    kept.get("d", ".fp8", sized(100))
    assert sorted(path.name for path in tmp_path.glob("*.fp8")) == ["a.fp8", "d.fp8"]
    assert kept.size_bytes() == 200


def test_what_is_in_use_stays_and_so_does_what_was_just_made(tmp_path: Path) -> None:
    user = ArtefactCache(tmp_path)
    user.get("used", ".fp8", sized(100))
    ArtefactCache(tmp_path, most_bytes=10).get("new", ".fp8", sized(100))
    assert sorted(path.name for path in tmp_path.glob("*.fp8")) == ["new.fp8", "used.fp8"]
    del user
    ArtefactCache(tmp_path, most_bytes=10).get("newer", ".fp8", sized(5))
    assert sorted(path.name for path in tmp_path.glob("*.fp8")) == ["newer.fp8"]


def test_the_rest_of_a_killed_build_is_removed(tmp_path: Path) -> None:
    process = builder(tmp_path, 60)
    assert eventually((tmp_path / "key.gguf.part").exists, 10)
    ArtefactCache(tmp_path, most_bytes=1000).get("a", ".fp8", sized(1))
    assert (tmp_path / "key.gguf.part").exists()
    process.kill()
    process.communicate()
    ArtefactCache(tmp_path, most_bytes=1000).get("b", ".fp8", sized(1))
    assert not (tmp_path / "key.gguf.part").exists()
