"""Keeps what engines are started from: made once, by one process at a time, and never half."""

import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tuner.engines.base import Artefact, Cancelled, never
from tuner.engines.errors import BuildError, StartCancelledError

_LOOK_SECONDS: Final = 0.1
_KEY_LENGTH: Final = 32


class ArtefactCache:
    """A folder of files by key, which several processes may share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str, suffix: str, make: Callable[[Path], None], cancelled: Cancelled = never) -> Artefact:
        """The file of a key, made by `make` where it is not there yet; waits while another process makes it.

        Raises `BuildError` when the folder cannot be written, `StartCancelledError` when asked to stop, and what
        `make` raises.
        """
        path = self.folder / f"{key}{suffix}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked(key, cancelled):
                seconds = self._seconds_of(path)
                if path.exists() and seconds is not None:
                    return Artefact(path, path.stat().st_size, seconds, was_cached=True)
                return self._made(path, make)
        except OSError as error:
            raise BuildError(
                f"cannot write to {self.folder} ({error.strerror}); free space or set PARETUNE_DATA_DIR"
            ) from error

    def _made(self, path: Path, make: Callable[[Path], None]) -> Artefact:
        part = path.with_name(f"{path.name}.part")
        started = time.monotonic()
        try:
            make(part)
            seconds = round(time.monotonic() - started, 3)
            self._note(path).write_text(json.dumps({"build_seconds": seconds}), encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return Artefact(path, path.stat().st_size, seconds, was_cached=False)

    @contextmanager
    def _locked(self, key: str, cancelled: Cancelled) -> Iterator[None]:
        """Holds the lock of a key, which the kernel frees when its holder dies."""
        with (self.folder / f"{key}.lock").open("ab") as lock:
            while not _taken(lock.fileno()):
                if cancelled():
                    raise StartCancelledError("the build was called off while another process was at it")
                time.sleep(_LOOK_SECONDS)
            yield

    def _seconds_of(self, path: Path) -> float | None:
        try:
            return float(json.loads(self._note(path).read_text(encoding="utf-8"))["build_seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @staticmethod
    def _note(path: Path) -> Path:
        return path.with_name(f"{path.name}.json")


def content_key(source: Path, *parts: str) -> str:
    """A key of a file's content and of what is made of it."""
    with source.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256("\n".join((content, *parts)).encode()).hexdigest()[:_KEY_LENGTH]


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
