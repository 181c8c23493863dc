"""Whenever `paretune tune` is stopped, and however, nothing is left behind."""

import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Sandbox


FIRST_CHILD, BOTH_CHILDREN, POOL = 2, 3, 5
"""Processes that run, the command itself included, once it has come so far."""


@pytest.mark.parametrize("processes", [FIRST_CHILD, BOTH_CHILDREN, POOL])
@pytest.mark.parametrize("later_seconds", [0.0, 0.7])
def test_ctrl_c_leaves_nothing(sandbox: "Sandbox", large: str, processes: int, later_seconds: float) -> None:
    spec = sandbox.write("job.yaml", large)
    with sandbox.start("tune", spec, "--out", str(sandbox.folder / "out")) as process:
        sandbox.wait_for(processes)
        time.sleep(later_seconds)

        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)

    assert process.returncode == 1
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "paretune: interrupted; everything that was started is stopped"
    assert sandbox.gone(0)
    assert [path.name for path in sandbox.folder.iterdir()] == ["job.yaml"]


def test_ctrl_c_many_times_is_as_good_as_once(sandbox: "Sandbox", large: str) -> None:
    with sandbox.start("tune", sandbox.write("job.yaml", large)) as process:
        sandbox.wait_for(BOTH_CHILDREN)

        for _ in range(5):
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        _, err = process.communicate(timeout=10)

    assert process.returncode == 1
    assert "Traceback" not in err
    assert sandbox.gone(1)


@pytest.mark.parametrize("processes", [BOTH_CHILDREN, POOL])
def test_children_end_when_the_parent_is_killed(sandbox: "Sandbox", large: str, processes: int) -> None:
    with sandbox.start("tune", sandbox.write("job.yaml", large)) as process:
        sandbox.wait_for(processes)

        process.kill()
        process.communicate(timeout=10)

    assert sandbox.gone(5)
