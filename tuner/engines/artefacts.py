"""Keeps what engines are started from: made once, by one process at a time, never half, and not without end.

For an artefact `KEY.gguf` there are `KEY.gguf.json` (a note: build seconds, bytes; its time is that of the last use),
`KEY.lock` (held while it is made or removed) and `KEY.use` (shared by those that start from it).
"""

import fcntl
import json
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from tuner.engines.artefact_keys import content_key
from tuner.engines.base import Artefact, Cancelled, never
from tuner.engines.errors import BuildError, StartCancelledError

__all__ = ["ArtefactCache", "Artefacts", "content_key"]

_LOOK_SECONDS: Final = 0.1
_NOTE: Final = ".json"
_PART: Final = ".part"


@dataclass(frozen=True, slots=True)
class Artefacts:
    """Where artefacts are kept (`None`: in the data directory), and how large together."""

    folder: Path | None = None
    most_bytes: int | None = None

    def folder_of(self, engine: str, data_dir: Path) -> Path:
        """The folder of an engine's artefacts."""
        return (self.folder or data_dir / "artefacts") / engine


class ArtefactCache:
    """A folder of files and folders by key, which several processes may share.

    `most_bytes` limits their size together: the least lately used go first, but none that a living process got from a
    cache that still lives there, and not the one just made, even where it alone is larger.
    """

    def __init__(self, folder: Path, most_bytes: int | None = None) -> None:
        self.folder = folder
        self._most_bytes = most_bytes
        self._uses: dict[str, BinaryIO] = {}
        weakref.finalize(self, _close, self._uses)

    def get(self, key: str, suffix: str, make: Callable[[Path], None], cancelled: Cancelled = never) -> Artefact:
        """The file or folder of a key, made by `make` where it is not there yet; waits while another process makes it.

        Raises `BuildError` when the folder cannot be written, `StartCancelledError` when asked to stop, and what
        `make` raises.
        """
        path = self.folder / f"{key}{suffix}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked(key, cancelled):
                artefact = self._kept(path) or self._made(path, make)
                self._use(key)
            self._evict()
        except OSError as error:
            raise BuildError(
                f"cannot write to {self.folder} ({error.strerror}); free space or set PARETUNE_DATA_DIR"
            ) from error
        return artefact

    def size_bytes(self) -> int:
        """Bytes of all artefacts, as their notes say."""
        return sum(_noted(note)[1] for note in self._notes())

    def _kept(self, path: Path) -> Artefact | None:
        note = _note(path)
        if not path.exists() or not note.exists():
            return None
        seconds, size_bytes = _noted(note)
        if seconds is None:
            return None
        note.touch()
        return Artefact(path, size_bytes, seconds, was_cached=True)

    def _made(self, path: Path, make: Callable[[Path], None]) -> Artefact:
        part = path.with_name(f"{path.name}{_PART}")
        _remove(part)
        _remove(path)
        started = time.monotonic()
        try:
            make(part)
            seconds, size_bytes = round(time.monotonic() - started, 3), _size_of(part)
            note = {"build_seconds": seconds, "size_bytes": size_bytes}
            _note(path).write_text(json.dumps(note), encoding="utf-8")
            part.replace(path)
        finally:
            _remove(part)
        return Artefact(path, size_bytes, seconds, was_cached=False)

    def _use(self, key: str) -> None:
        if key not in self._uses:
            use = (self.folder / f"{key}.use").open("ab")
            fcntl.flock(use, fcntl.LOCK_SH)
            self._uses[key] = use

    def _evict(self) -> None:
        if self._most_bytes is None:
            return
        for part in self.folder.glob(f"*{_PART}"):
            self._remove_unused(part.with_suffix(""), only=part)
        oldest_first = sorted(self._notes(), key=lambda note: note.stat().st_mtime)
        for note in oldest_first:
            if self.size_bytes() <= self._most_bytes:
                return
            path = note.with_suffix("")
            self._remove_unused(path, only=None)

    def _remove_unused(self, path: Path, only: Path | None) -> None:
        """Removes an artefact, or the rest of a build that was killed, unless somebody makes or uses it."""
        key = path.name.partition(".")[0]
        with (self.folder / f"{key}.lock").open("ab") as lock, (self.folder / f"{key}.use").open("ab") as use:
            if not _taken(lock.fileno()) or not (only is not None or _taken(use.fileno())):
                return
            for gone in (_note(path), path) if only is None else (only,):
                _remove(gone)

    @contextmanager
    def _locked(self, key: str, cancelled: Cancelled) -> Iterator[None]:
        """Holds the lock of a key, which the kernel frees when its holder dies."""
        with (self.folder / f"{key}.lock").open("ab") as lock:
            while not _taken(lock.fileno()):
                if cancelled():
                    raise StartCancelledError("the build was called off while another process was at it")
                time.sleep(_LOOK_SECONDS)
            yield

    def _notes(self) -> list[Path]:
        return list(self.folder.glob(f"*{_NOTE}"))


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}{_NOTE}")


def _noted(note: Path) -> tuple[float | None, int]:
    """Build seconds (`None` where the note is none of ours) and bytes."""
    try:
        data = json.loads(note.read_text(encoding="utf-8"))
        seconds = float(data["build_seconds"])
        size = data.get("size_bytes")
        return seconds, size if isinstance(size, int) else _size_of(note.with_suffix(""))
    except (OSError, ValueError, KeyError, TypeError):
        return None, 0


def _size_of(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size if path.exists() else 0
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close(uses: dict[str, BinaryIO]) -> None:
    with suppress(OSError):
        for use in uses.values():
            use.close()
