"""TensorRT-LLM in a container, with a `docker` that only runs the stand-in and notes what it is asked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tuner.engines.tensorrt_llm.conftest import MODEL, PLAIN, STANDIN, Order
from tuner.engines.base import Artefact, Launch
from tuner.engines.records import Ledger, Record
from tuner.engines.served import ledger_of
from tuner.engines.sweeper import sweep
from tuner.engines.tensorrt_llm.engine import TensorrtLlmEngine
from tuner.engines.tensorrt_llm.installation import Installation

IMAGE = "example/tensorrt-llm:1.2.1"
DOCKER = f"""#!{sys.executable}
import os, sys
words = sys.argv[1:]
with open({{log!r}}, "a") as log:
    log.write(" ".join(words[:2] + words[-1:]) + "\\n")
if words[0] == "run":
    assert os.environ["PARETUNE_RUN"]
    os.execv({STANDIN[0]!r}, [*{list(STANDIN)!r}, *words[words.index({IMAGE!r}) + 1:]])
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Order) -> Path:
    """The file in which `docker` notes what it is asked."""
    log = tmp_path / "asked"
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER.format(log=str(log)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return log


def test_a_container_is_started_and_stopped_by_its_name(asked: Path, tmp_path: Path) -> None:
    engine = TensorrtLlmEngine(MODEL, tmp_path / "data", Installation(image=IMAGE))
    with engine.start(Launch(PLAIN, Artefact(None), 2048, tmp_path / "trial", devices=("GPU-1",))) as running:
        running.wait_ready()
        [record] = ledger_of(tmp_path / "data").records()
        assert record.stop[:3] == ("docker", "rm", "--force")
    assert f"rm --force {record.stop[3]}" in asked.read_text().splitlines()
    assert ledger_of(tmp_path / "data").records() == []


def test_a_container_that_was_left_is_removed_by_the_next_start(asked: Path, tmp_path: Path) -> None:
    left = "from pathlib import Path\nfrom tuner.engines.records import Ledger, Record\n"
    left += f"Ledger(Path({str(tmp_path / 'runs')!r})).write("
    left += "Record.new('tensorrt-llm', 1, stop=('docker', 'rm', '--force', 'paretune-left-1')))"
    subprocess.run([sys.executable, "-c", left], cwd=Path(__file__).parents[4], check=True, timeout=60)
    ledger = Ledger(tmp_path / "runs")
    assert isinstance(ledger.records()[0], Record)
    sweep(ledger)
    assert asked.read_text().splitlines() == ["rm --force paretune-left-1"]
    assert ledger.records() == []
