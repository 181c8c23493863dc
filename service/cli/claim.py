"""Which run of `tune` has a measuring job, and under which key the job is known to the runs after it.

A file in the data directory stands for each job that has not ended; whoever works on the job holds its lock.
"""

import fcntl
import json
import os
import secrets
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from service.cli.errors import FailedError

WAIT_SECONDS: Final = 5.0
"""How long the end of a run before is waited for: the worker of one that was killed takes a moment."""
KEPT_DAYS: Final = 30
"""How long a job that was cut short is remembered."""
_LOOK_SECONDS: Final = 0.1


class Claim:
    """The right to run one measuring job; a context manager that gives it back, also by its process's death.

    Entering raises `FailedError` while another run has it, or where the folder cannot be written. A child that got
    `descriptor` has the claim too, as long as it lives.
    """

    def __init__(self, folder: Path, digest: str, wait_seconds: float = WAIT_SECONDS) -> None:
        self.key = ""
        self._wait_seconds = wait_seconds
        self._path = folder / f"{digest}.json"
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _locked(self._path, self._wait_seconds)
            _forget_old(self._path.parent)
        except OSError as error:
            raise FailedError(
                f"cannot write to {self._path.parent} ({error.strerror}); set PARETUNE_DATA_DIR to a folder of yours"
            ) from None
        self._write(str(_content(self._path).get("key", "")) or secrets.token_hex(16))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def descriptor(self) -> int:
        """The descriptor that holds the claim."""
        assert self._file is not None
        return self._file.fileno()

    def start_anew(self) -> None:
        """Takes a new key, under which nothing is known."""
        self._write(secrets.token_hex(16))

    def forget(self) -> None:
        """Removes the file: the job has ended."""
        self._path.unlink(missing_ok=True)

    def _write(self, key: str) -> None:
        assert self._file is not None
        self.key = key
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps({"key": key, "pid": os.getpid()}).encode())
        self._file.flush()
        os.fsync(self._file.fileno())


def _locked(path: Path, wait_seconds: float) -> BinaryIO:
    """The file at `path` with its lock; raises `FailedError` when it is not free in time."""
    deadline = time.monotonic() + wait_seconds
    while True:
        file = path.open("a+b")
        if _taken(file):
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        elif time.monotonic() > deadline:
            file.close()
            raise FailedError(
                f"the same spec is being tuned already, by process {_content(path).get('pid', 'unknown')}; "
                "wait until it has ended, or stop it with Ctrl-C: then this command goes on after its last trial"
            )
        else:
            time.sleep(_LOOK_SECONDS)
        file.close()


def _taken(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _content(path: Path) -> dict[str, object]:
    """What a claim's file says; nothing where it was cut while it was written."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _forget_old(folder: Path) -> None:
    """Removes the files of jobs that nobody went on with."""
    before = time.time() - KEPT_DAYS * 86_400
    for path in folder.glob("*.json"):
        if path.stat().st_mtime < before:
            with path.open("rb") as file:
                if _taken(file):
                    path.unlink(missing_ok=True)
