"""Runs the real command line, as users do, and looks at what it leaves behind."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from service.cli.main import run

SMALL = """
name: small
model: meta-llama/Llama-3.1-8B-Instruct
hardware: {gpu: h100_sxm, gpus: 2}
workload: {input_tokens: 512, output_tokens: 128, concurrency: 16}
objectives: [cost, tpot]
constraints: {tpot_mean_ms: 100}
space: {tensor_parallel: [1, 2], weights: [fp8], kv_cache: [fp8], max_num_tokens: [8192]}
"""
LARGE = """
model: meta-llama/Llama-3.1-8B-Instruct
hardware: {gpu: [h100_sxm, h200_sxm], gpus: 8}
workload: {input_tokens: 1024, output_tokens: 256, concurrency: auto}
objectives: [cost, tpot]
"""
Command = Callable[..., "subprocess.CompletedProcess[str]"]
_MARKER = "E2E_MARKER"


@dataclass(frozen=True)
class Sandbox:
    """A folder of its own for the command's temporary files, and a mark on every process that it starts."""

    folder: Path
    temporary: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def start(self, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
        """Starts a command."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("paretune")), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment(settings),
        )

    def run(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command to its end."""
        with self.start(*arguments, **settings) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def write(self, name: str, text: str) -> str:
        """Writes a file and gives its path."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def processes(self) -> list[int]:
        """The processes that carry the mark."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._is_ours(entry)]

    def wait_for(self, processes: int) -> None:
        """Waits until so many processes carry the mark."""
        deadline = time.monotonic() + 60
        while len(self.processes()) < processes:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def gone(self, seconds: float) -> bool:
        """Whether every process and temporary file is gone within so many seconds."""
        deadline = time.monotonic() + seconds
        while self.processes() or any(self.temporary.iterdir()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _is_ours(self, entry: Path) -> bool:
        try:
            return f"{_MARKER}={self.mark}".encode() in (entry / "environ").read_bytes()
        except OSError:
            return False

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        """The environment of a command in here."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PARETUNE_")}
        own = {"TMPDIR": str(self.temporary), "XDG_STATE_HOME": str(self.folder / "state"), _MARKER: self.mark}
        return plain | own | {"PARETUNE_DATA_DIR": str(self.folder / "data")} | settings


def _made(folder: Path) -> Iterator[Sandbox]:
    temporary = Path(tempfile.mkdtemp(prefix="e2e-", dir="/tmp"))
    try:
        yield Sandbox(folder, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox for one test."""
    yield from _made(tmp_path)


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox for the tests of one module."""
    yield from _made(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def served(shared_sandbox: Sandbox) -> Iterator[str]:
    """URL of a running `paretune serve` with one worker."""
    with shared_sandbox.start("serve", "--port", "0", "--json") as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert shared_sandbox.gone(2)


def _run_here(*arguments: str) -> "subprocess.CompletedProcess[str]":
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@pytest.fixture
def here() -> Command:
    """Runs a command in this process, which saves its imports."""
    return _run_here


@pytest.fixture
def ask(served: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command of this process against the running service."""
    monkeypatch.setenv("PARETUNE_URL", served)
    return _run_here


@pytest.fixture
def small() -> str:
    """A spec with a handful of configurations."""
    return SMALL


@pytest.fixture
def large() -> str:
    """A spec that takes many seconds."""
    return LARGE
