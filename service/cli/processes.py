"""Child processes of the command line: each leads a session of its own, and never outlives the parent."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Literal, Self

from service.cli.errors import FailedError

Role = Literal["api", "worker"]

TERM_SECONDS: Final = 0.2
"""How long children may take to end by themselves when nothing of theirs is kept."""
MOST_PATH: Final = 50
"""Longest folder, in characters, under which the paths of Unix sockets (107 bytes at most) fit."""
_LOG_TAIL_BYTES: Final = 8_192


def private_folder() -> Path:
    """A new folder for children's files, under `/tmp` where the usual place is too deep for the pool's Unix sockets.

    Raises `FailedError` when there is no place for it.
    """
    usual = tempfile.gettempdir()
    try:
        return Path(tempfile.mkdtemp(prefix="paretune-", dir=usual if len(usual) <= MOST_PATH else "/tmp"))  # noqa: S108
    except OSError as error:
        raise FailedError(f"cannot make a temporary folder ({error}); set TMPDIR to one that can be written") from None


class Lifeline:
    """A pipe that children watch: they end when the process that holds it closes it, or dies."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()

    def close(self) -> None:
        """Cuts the line; every child that still runs ends itself."""
        for descriptor in (self.read_end, self._write_end):
            os.close(descriptor)


class Child:
    """One child process with everything that it starts."""

    def __init__(self, role: Role, process: "subprocess.Popen[bytes]", log: Path | None) -> None:
        self.role = role
        self.log = log
        self._process = process

    @classmethod
    def start(
        cls,
        role: Role,
        lifeline: Lifeline,
        *,
        environment: Mapping[str, str],
        log: Path | None = None,
        folder: Path | None = None,
        socket: int | None = None,
        claim: int | None = None,
        key: str | None = None,
    ) -> Self:
        """Starts a child; it writes its log to `log`, or to our standard error.

        `socket` is the API's, `key` that of the only job that a worker looks at; `claim` is a descriptor that it holds.
        """
        command = [sys.executable, "-m", "service.cli.child", role, "--parent", str(lifeline.read_end)]
        command += ["--folder", str(folder)] if folder is not None else []
        command += ["--socket", str(socket)] if socket is not None else []
        command += ["--key", key] if key is not None else []
        kept = [descriptor for descriptor in (lifeline.read_end, socket, claim) if descriptor is not None]
        if log is None:
            return cls(role, _popen(command, None, environment, kept), None)
        with log.open("wb") as file:
            return cls(role, _popen(command, file, environment, kept), log)

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """Its exit status; `None` while it runs."""
        return self._process.poll()

    def log_tail(self, lines: int = 8) -> list[str]:
        """The last lines of its log."""
        if self.log is None or not self.log.is_file():
            return []
        return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace").splitlines()[-lines:]


def stop_all(children: Sequence[Child], seconds: float = TERM_SECONDS) -> None:
    """Asks all the children to end, waits, and kills what is left of their process groups."""
    for child in children:
        child._process.terminate()
    deadline = time.monotonic() + seconds
    for child in children:
        _await(child, deadline)
    for child in children:
        _kill_group(child)
    for child in children:
        child._process.wait()


def _await(child: Child, deadline: float) -> None:
    try:
        child._process.wait(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return


def _kill_group(child: Child) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody is left of it (macOS says EPERM of the dead)
        return


def _popen(
    command: Sequence[str],
    log: IO[bytes] | None,
    environment: Mapping[str, str],
    descriptors: Sequence[int],
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - our own module, run by our own interpreter
        command,
        stdin=subprocess.DEVNULL,
        stdout=log if log is not None else sys.stderr.fileno(),
        stderr=log,
        env=dict(environment),
        start_new_session=True,
        pass_fds=descriptors,
    )
