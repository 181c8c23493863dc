"""Checks of what every use of paretune needs: kernel data, database, a place on disk."""

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from service.doctor.check import Check, Verdict
from service.errors import ServiceError
from service.settings import Settings

_GIB: Final = 1024**3
LEAST_ARTEFACTS_GIB: Final = 50.0
"""Room below which a quantised checkpoint of a 70B model does not fit."""


def check_kernel_data() -> Check:
    """The kernel times that simulations rest on."""
    from tuner.errors import TunerError
    from tuner.space.hardware import kernel_data_directory

    try:
        folder = kernel_data_directory()
        found = f"aiconfigurator-core {version('aiconfigurator-core')} in {folder}"
    except (TunerError, PackageNotFoundError) as error:
        return Check("kernel data", Verdict.BROKEN, str(error), "install paretune again", is_needed=True)
    return Check("kernel data", Verdict.OK, found, is_needed=True)


def check_database(settings: Settings) -> Check:
    """The database answers, with the schema of this version; a SQLite file that is not there yet can be made."""
    from service.database import migrate
    from service.database.session import Database

    url = settings.url
    shown = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).expanduser().exists():
        return _can_write("database", Path(str(url.database)).expanduser().parent, f"{shown}, made at the first start")
    try:
        with Database(url) as database:
            revision = migrate.current_revision(database)
    except (ServiceError, SQLAlchemyError, OSError) as error:
        first = str(error).splitlines()[0]
        return Check(
            "database", Verdict.BROKEN, f"{shown}: {first}", "run `paretune db upgrade`, or mend PARETUNE_DATABASE_URL",
            is_needed=True,
        )  # fmt: skip
    return Check("database", Verdict.OK, f"{shown}, revision {revision or 'none yet'}", is_needed=True)


def check_data_folder(settings: Settings) -> Check:
    """The data folder can be written."""
    return _can_write("data folder", settings.data_dir.expanduser(), str(settings.data_dir))


def check_artefacts(settings: Settings) -> Check:
    """There is room for quantised checkpoints."""
    folder = (settings.artefacts_dir or settings.data_dir / "artefacts").expanduser()
    free = shutil.disk_usage(_existing(folder)).free / _GIB
    found = f"{free:.0f} GiB free at {folder}, of which {settings.artefacts_gib:.0f} GiB may be used"
    if free < LEAST_ARTEFACTS_GIB:
        mend = "set PARETUNE_ARTEFACTS_DIR to a larger disk"
        return Check("disk for artefacts", Verdict.MISSING, found, mend)
    if free < settings.artefacts_gib:
        return Check("disk for artefacts", Verdict.OK, f"{found}: set PARETUNE_ARTEFACTS_GIB lower")
    return Check("disk for artefacts", Verdict.OK, found)


def _can_write(name: str, folder: Path, found: str) -> Check:
    place = _existing(folder)
    if os.access(place, os.W_OK | os.X_OK):
        return Check(name, Verdict.OK, found, is_needed=True)
    mend = "set PARETUNE_DATA_DIR to a folder that can be written"
    return Check(name, Verdict.BROKEN, f"{place} cannot be written", mend, is_needed=True)


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())
