"""Logs and records of measurements go after their time."""

import os
from datetime import UTC, datetime
from pathlib import Path

from service.workers.measurements import folder_of, remove_old

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def test_the_folders_of_jobs_that_measured_nothing_for_long_are_removed(tmp_path: Path) -> None:
    for job, days in (("old", 31), ("young", 29)):
        trial = folder_of(tmp_path, job) / "0001"
        trial.mkdir(parents=True)
        (trial / "engine.log").write_text("ready")
        os.utime(trial.parent, (NOW.timestamp() - days * 86_400,) * 2)

    remove_old(tmp_path, 30, NOW)

    assert [path.name for path in (tmp_path / "measurements").iterdir()] == ["young"]


def test_without_measurements_there_is_nothing_to_remove(tmp_path: Path) -> None:
    remove_old(tmp_path, 30, NOW)

    assert list(tmp_path.iterdir()) == []
