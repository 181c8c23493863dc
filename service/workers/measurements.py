"""The folders in which measuring jobs keep engines' logs and requests' records, and when they go."""

import logging
import shutil
from datetime import datetime, timedelta
from pathlib import Path

_log = logging.getLogger(__name__)


def folder_of(data_dir: Path, job_id: str) -> Path:
    """Where the measurements of a job lie, one folder each."""
    return data_dir / "measurements" / job_id


def remove_old(data_dir: Path, days: float, now: datetime) -> None:
    """Removes the folders of jobs that measured nothing for so many days."""
    before = (now - timedelta(days=days)).timestamp()
    try:
        for folder in (data_dir / "measurements").glob("*/"):
            if folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:  # another worker removes the same one, or the disk is read-only
        _log.warning("cannot clear old measurements: %s", error)
