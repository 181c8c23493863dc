"""The output folder: filled beside its place and moved there at the end, so that it is whole or not there."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.cli.errors import BadUsageError
from service.cli.interrupts import shielded

_PREFIX = ".paretune-"


def check_writable(folder: Path) -> None:
    """Raises `BadUsageError` when `folder` cannot be made or written; leaves nothing behind."""
    try:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=_existing(folder)):
            return
    except OSError as error:
        raise _refusal(folder, error) from None


@contextmanager
def filled(folder: Path) -> Iterator[Path]:
    """An empty folder to write into; at the end its content moves to `folder`, replacing files of the same names.

    When the block raises, nothing of `folder` has changed. Raises `BadUsageError` when it cannot be written.
    """
    staging: Path | None = None
    try:
        with shielded():
            staging = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_existing(folder)))
        yield staging
        with shielded():
            _move(staging, folder)
    except OSError as error:
        raise _refusal(folder, error) from None
    finally:
        with shielded():
            if staging is not None:
                shutil.rmtree(staging, ignore_errors=True)


def _move(staging: Path, folder: Path) -> None:
    """Puts the new files in place; what they replace is removed with the staging folder."""
    staging.chmod(0o755)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging.rename(folder)
        return
    for new in sorted(staging.iterdir()):
        place = folder / new.name
        if place.is_dir() and not place.is_symlink():
            place.rename(staging / f"{new.name}.old")
        new.rename(place)


def _existing(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that exists."""
    absolute = folder.absolute()
    for place in (absolute, *absolute.parents):
        if place.is_dir():
            return place
        if place.exists() or place.is_symlink():
            raise NotADirectoryError(20, f"{place} is a file", str(place))
    return absolute


def _refusal(folder: Path, error: OSError) -> BadUsageError:
    reason = error.strerror or str(error)
    return BadUsageError(f"cannot write to {folder} ({reason}); name another folder with --out")
