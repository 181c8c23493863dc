"""Children end with their parent, and nothing of their groups outlives them."""

import os
import subprocess
import sys
import time
from pathlib import Path

ORPHAN = """
import subprocess, sys, time
from pathlib import Path
from service.cli.orphan import following
with following(int(sys.argv[1]), Path(sys.argv[2])):
    subprocess.Popen(["sleep", "60"])
    print("up", flush=True)
    time.sleep(60)
"""


def test_a_child_whose_parent_dies_ends_with_its_own_children_and_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    read_end, write_end = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(read_end), str(folder)],
        pass_fds=[read_end],
        start_new_session=True,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()

        os.close(write_end)

        child.wait(timeout=5)
        assert child.stdout.read() == b""  # the grandchild held this pipe too
    os.close(read_end)
    assert not folder.exists()
    assert not _members(child.pid)


def _members(group: int) -> list[str]:
    """The processes of a group that still run."""
    time.sleep(0.1)
    found = subprocess.run(["ps", "-o", "pid=,stat=", "-g", str(group)], capture_output=True, text=True, check=False)
    return [line for line in found.stdout.splitlines() if " Z" not in line]
