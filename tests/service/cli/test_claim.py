"""One run at a time has a measuring job, and the runs after it find it by the same key."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.cli.claim import KEPT_DAYS, Claim
from service.cli.errors import FailedError

HOLDER = """
import sys, time
from pathlib import Path
from service.cli.claim import Claim
with Claim(Path(sys.argv[1]), "job"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_told_who_has_the_job(tmp_path: Path) -> None:
    told = pytest.raises(FailedError, match=f"being tuned already, by process {os.getpid()}; wait")

    with Claim(tmp_path, "job"), Claim(tmp_path, "other job"), told:
        Claim(tmp_path, "job", wait_seconds=0.0).__enter__()


def test_the_key_outlives_a_run_that_is_killed(tmp_path: Path) -> None:
    with Claim(tmp_path, "job") as first:
        key = first.key
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()

    with Claim(tmp_path, "job") as second:
        assert second.key == key


def test_a_run_that_starts_anew_has_another_key_and_so_have_those_after_it(tmp_path: Path) -> None:
    with Claim(tmp_path, "job") as claim:
        before = claim.key
        claim.start_anew()
        assert claim.key != before
        after = claim.key

    with Claim(tmp_path, "job") as claim:
        assert claim.key == after


def test_a_job_that_has_ended_is_forgotten(tmp_path: Path) -> None:
    with Claim(tmp_path, "job") as claim:
        key = claim.key
        claim.forget()

    assert list(tmp_path.iterdir()) == []
    with Claim(tmp_path, "job") as claim:
        assert claim.key != key


def test_a_child_with_the_descriptor_holds_the_job_too(tmp_path: Path) -> None:
    with Claim(tmp_path, "job") as claim:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[claim.descriptor])
    with child:
        with pytest.raises(FailedError):
            Claim(tmp_path, "job", wait_seconds=0.0).__enter__()
        child.kill()

    with Claim(tmp_path, "job", wait_seconds=0.0):
        pass


def test_a_file_that_a_power_cut_left_empty_stands_for_a_new_job(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("")

    with Claim(tmp_path, "job") as claim:
        assert claim.key


def test_jobs_that_nobody_goes_on_with_are_forgotten_in_time(tmp_path: Path) -> None:
    long_ago = time.time() - (KEPT_DAYS + 1) * 86_400
    for name in ("left", "held"):
        (tmp_path / f"{name}.json").write_text("{}")
        os.utime(tmp_path / f"{name}.json", (long_ago, long_ago))

    with (tmp_path / "held.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with Claim(tmp_path, "job"):
            assert sorted(path.stem for path in tmp_path.iterdir()) == ["held", "job"]


def test_a_folder_that_cannot_be_written_is_named_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FailedError, match=r"cannot write to .*file.* set PARETUNE_DATA_DIR"):
        Claim(tmp_path / "file" / "tune", "job").__enter__()
