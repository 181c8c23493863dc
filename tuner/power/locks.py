"""Locks between processes that the kernel frees when their holder dies, by whatever death (`flock(2)`)."""

import fcntl
from pathlib import Path
from typing import BinaryIO, Self


class FileLock:
    """A lock on a file, which stays where it is when the lock is freed. Not shared by threads: one object a holder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def take(self) -> bool:
        """Takes the lock if nobody has it; raises `OSError` where the folder cannot be written."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("ab")
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def free(self) -> None:
        """Frees the lock; safe to call again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()
