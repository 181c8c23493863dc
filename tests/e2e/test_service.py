"""A service started by `paretune serve`, used by the other commands."""

import json
import socket
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Command, Sandbox


@pytest.fixture(scope="module")
def finished(shared_sandbox: "Sandbox", served: str) -> str:
    """Id of a job that has ended."""
    spec = shared_sandbox.write("small.yaml", SPEC)
    ended = shared_sandbox.run("submit", spec, "--wait", "--json", "--url", served)
    assert ended.returncode == 0, ended.stderr
    return str(json.loads(ended.stdout)["job"]["id"])


def test_status_and_jobs_show_the_job(ask: "Command", finished: str) -> None:
    assert f"job {finished} (small): succeeded" in ask("status", finished).stdout
    assert finished in ask("jobs", "--state", "succeeded", "--limit", "5").stdout
    assert finished in [job["id"] for job in json.loads(ask("jobs", "--json").stdout)]


def test_frontier_prints_a_table_or_json(ask: "Command", finished: str) -> None:
    assert "Recommended: cheapest" in ask("frontier", finished).stdout
    assert json.loads(ask("frontier", finished, "--json").stdout)["points"]


def test_export_prints_or_writes(ask: "Command", finished: str, shared_sandbox: "Sandbox") -> None:
    printed = ask("export", finished, "--format", "trtllm-serve", "--pick", "cheapest")
    path = shared_sandbox.folder / "serve.yaml"
    written = ask("export", finished, "--format", "trtllm-serve", "--pick", "cheapest", "--out", str(path))

    assert f"job: {finished}" in printed.stdout
    assert written.returncode == 0
    assert path.read_text() == printed.stdout


def test_the_same_idempotency_key_gives_the_same_job(ask: "Command", shared_sandbox: "Sandbox") -> None:
    spec = shared_sandbox.write("again.yaml", SPEC)

    first, second = (ask("submit", spec, "--idempotency-key", "once").stdout for _ in range(2))

    assert first == second != ""


def test_cancel_stops_a_running_job(ask: "Command", shared_sandbox: "Sandbox", large: str) -> None:
    job = ask("submit", shared_sandbox.write("large.yaml", large)).stdout.strip()

    assert ask("cancel", job).returncode == 0

    deadline = time.monotonic() + 20
    while (state := json.loads(ask("status", job, "--json").stdout)["state"]) in {"queued", "running"}:
        assert time.monotonic() < deadline
    assert state == "cancelled"
    again = ask("cancel", job)
    assert again.returncode == 1
    assert "cancelled" in again.stderr


def test_what_does_not_exist_is_said_in_one_line(ask: "Command", finished: str) -> None:
    assert "nothere" in ask("status", "nothere").stderr
    assert ask("export", finished, "--pick", "bset").returncode == 2
    assert ask("jobs", "--state", "done").returncode == 2


def test_a_port_in_use_is_named(sandbox: "Sandbox") -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        ended = sandbox.run("serve", "--port", port)

    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"paretune: port {port} on 127.0.0.1 is in use; stop what listens there, or take another with --port "
        "(0: a free one)"
    ]


def test_no_service_exits_with_4(sandbox: "Sandbox") -> None:
    ended = sandbox.run("jobs", "--url", "http://127.0.0.1:9")

    assert ended.returncode == 4
    assert len(ended.stderr.splitlines()) == 1


def test_db_upgrade_makes_the_schema(sandbox: "Sandbox") -> None:
    first, second = (sandbox.run("db", "upgrade", "--json") for _ in range(2))

    assert json.loads(first.stdout)["before"] is None
    assert json.loads(second.stdout)["before"] == json.loads(first.stdout)["after"]


SPEC = """
name: small
model: meta-llama/Llama-3.1-8B-Instruct
hardware: {gpu: h100_sxm, gpus: 1}
workload: {input_tokens: 512, output_tokens: 128, concurrency: 16}
objectives: [cost, tpot]
space: {weights: [fp8], kv_cache: [fp8], max_num_tokens: [8192]}
"""
