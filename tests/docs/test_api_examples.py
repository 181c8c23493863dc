"""The examples of docs/api.md run as they stand, against a real service with a worker."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
EXAMPLES = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
SECONDS = 120


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A service of this test's own on a free port."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PARETUNE_")}
    service = subprocess.Popen(
        [sys.executable, "-c", "from service.cli.main import main; main()", "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=PAGE.parents[1],
        env=inherited | {"PARETUNE_DATA_DIR": str(tmp_path)},
    )
    try:
        assert service.stdout is not None
        yield json.loads(service.stdout.readline())["url"]
    finally:
        service.send_signal(signal.SIGINT)
        service.communicate(timeout=30)


def test_every_example_answers(url: str) -> None:
    """Given the page's shell blocks in their order, when a shell runs them, then none fails and the answers are right."""
    script = "\n".join(EXAMPLES).replace("http://127.0.0.1:8321", url)

    found = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False, timeout=SECONDS
    )

    assert found.returncode == 0, found.stderr
    for sign in (
        '"state":"succeeded"',
        '"points":[{"number"',
        '"balanced":{"number"',
        '"cost_breakdown":{"cost_usd',
        "tensor_parallel_size:",
        "urn:paretune:problem:conflict",
        "no kernel data for GPU 'h1000'; did you mean h100_sxm?",
    ):
        assert sign in found.stdout, sign
