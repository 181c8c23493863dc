"""What the tests of the engines start: a model of random weights, stand-in servers, and proof that nothing stays."""

import contextlib
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.tuner.engines.tiny_model import write_model
from tuner.engines.base import Artefact
from tuner.engines.failure_texts import FAILURE_PATTERNS
from tuner.engines.plan import ServerPlan
from tuner.engines.records import Ledger
from tuner.spec import Engine

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
MARK = "PYTEST_ENGINES"

MakePlan = Callable[..., ServerPlan]


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Marks every process that a test starts, and fails the test that leaves one behind."""
    name = uuid.uuid4().hex
    monkeypatch.setenv(MARK, name)
    yield name
    left = processes_with(name)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file with random weights in F16."""
    return write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return Ledger(tmp_path / "runs")


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    """Makes the plan of a stand-in server by its flags; `changes` are of the plan."""

    def make(*flags: str, **changes: Any) -> ServerPlan:
        plain: dict[str, Any] = {
            "engine": "command",
            "model": "stand-in",
            "arguments": lambda port: (sys.executable, "-I", "-S", STAND_IN, "--port", str(port), *flags),
            "folder": tmp_path / "trial",
            "artefact": Artefact(None),
            "start_timeout_seconds": 20.0,
            "patterns": FAILURE_PATTERNS[Engine.VLLM.value],
            "grace_seconds": 0.5,
        }
        return ServerPlan(**(plain | changes))

    return make


def processes_with(mark: str) -> list[psutil.Process]:
    """The living processes that carry the mark of a test."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether something comes true within a time."""
    deadline = time.monotonic() + seconds
    while not (came := holds()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return came
