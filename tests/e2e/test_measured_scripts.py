"""The scripts of a measured trial, run as a user runs them: llama.cpp is started again, and loaded again."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tuner.engines.tiny_model import write_model
from tuner.configuration import Configuration, KnobValue
from tuner.exports import ExportContext, export
from tuner.spec import JobSpec, parse_spec
from tuner.trial import Trial, TrialState

if TYPE_CHECKING:
    from tests.e2e.conftest import Sandbox

LAYERS = 150
"""Slow enough that a busy machine's client is not the limit."""
KNOBS: dict[str, KnobValue] = {
    "engine": "llama.cpp",
    "gpu": "cpu",
    "weights": "q8_0",
    "kv_cache": "q8_0",
    "max_batch_size": 2,
    "max_num_tokens": 256,
    "concurrency": 2,
    "flash_attention": True,
    "micro_batch": 64,
    "threads": 1,
}


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    """A measuring job on a model whose weights have to be converted."""
    model = write_model(tmp_path / "a model.gguf", layers=LAYERS)
    return parse_spec(
        {
            "model": str(model),
            "engine": "llama.cpp",
            "hardware": {"gpu": "cpu", "gpus": 1},
            "workload": {"input_tokens": 32, "output_tokens": 16},
            "objectives": ["cost", "tpot"],
            "evaluator": "measure",
            "measuring": {"seconds": 4, "precision": 0.5},
            "pricing": {"gpu_hour_usd": 0.1},
        }
    )


def test_the_scripts_start_the_engine_and_measure_it(sandbox: "Sandbox", spec: JobSpec) -> None:
    """Given a trial on llama.cpp, serve.sh starts a server that answers, and bench.sh reports what it found of it."""
    context = ExportContext("job", spec, Trial(0, Configuration.from_dict(KNOBS), TrialState.COMPLETE), "fastest")
    port = free_port()
    serve = script(sandbox, context, "serve-script")
    bench = script(sandbox, context, "bench-script")
    with serving(sandbox, serve, port) as server:
        done = measured(sandbox, bench, port)
    assert done.returncode == 0, done.stderr
    assert server.returncode == 143
    report = json.loads((sandbox.folder / "bench-report.json").read_text())
    assert report["load"]["arrivals"] == {"concurrency": 2}
    assert report["details"]["requests"]["failed"] == 0
    known = set(report["metrics"])
    assert {"ttft_p95_ms", "tpot_mean_ms", "request_latency_p99_ms", "output_tokens_per_second_per_gpu"} <= known
    assert sandbox.gone(5)


def script(sandbox: "Sandbox", context: ExportContext, name: str) -> str:
    file = export(name, context)
    return sandbox.write(file.name, file.text)


def environment(sandbox: "Sandbox", **settings: str) -> dict[str, str]:
    """The sandbox's environment, with the programs of the one that runs the tests on its path."""
    return sandbox.environment({"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **settings})


@contextmanager
def serving(sandbox: "Sandbox", path: str, port: int) -> "Iterator[subprocess.Popen[str]]":
    """Runs serve.sh until the end of the context, from when its server listens."""
    log = sandbox.folder / "serve.log"
    with log.open("w") as file:
        settings = environment(sandbox, PORT=str(port))
        server = subprocess.Popen(["bash", path], env=settings, cwd=sandbox.folder, stdout=file, stderr=file, text=True)
        try:
            deadline = time.monotonic() + 60
            while not is_open(port):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield server
        finally:
            server.terminate()
            server.wait(timeout=20)


def measured(sandbox: "Sandbox", path: str, port: int) -> "subprocess.CompletedProcess[str]":
    """Runs bench.sh; once more, as a user would, where the client was too slow on a busy machine."""
    settings = environment(sandbox, URL=f"http://127.0.0.1:{port}")
    for _ in range(5):
        done = subprocess.run(
            ["bash", path], env=settings, cwd=sandbox.folder, capture_output=True, text=True, timeout=60, check=False
        )
        if "client" not in done.stderr:
            break
    return done


def is_open(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
