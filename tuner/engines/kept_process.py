"""A server's process under its keeper: started with nothing of paretune's, ended with everything it started."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from tuner.engines import keeper as keeper_module
from tuner.engines.environment import RUN_VARIABLE
from tuner.engines.errors import EngineError
from tuner.engines.hang import Work
from tuner.engines.members import end_members, members, tree_pids, work_of
from tuner.identity import Identity, identity_of

_KEEPER: Final = str(Path(keeper_module.__file__))
_MARGIN_SECONDS: Final = 5.0


class KeptProcess:
    """A program that runs under a keeper; `run` must stand in its environment (`clean_environment`)."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], log_path: Path, grace_seconds: float
    ) -> None:
        """Starts the program; its output goes to the log. Raises `EngineError` when the machine does not start it."""
        command = [sys.executable, "-I", "-S", _KEEPER, str(grace_seconds), *arguments]
        self._run = environment[RUN_VARIABLE]
        self._grace_seconds = grace_seconds
        try:
            log = log_path.open("wb")
        except OSError as error:
            raise EngineError(
                f"cannot write {log_path} ({error.strerror}); free space or set PARETUNE_DATA_DIR"
            ) from error
        with log:
            self._keeper = _started(command, environment, log)
        self.identity: Identity | None = identity_of(self._keeper.pid)

    @property
    def exit_status(self) -> int | None:
        """How the server ended (negative: the signal's number); `None` while it runs."""
        return self._keeper.poll()

    def pids(self) -> set[int]:
        """The numbers of the server's processes, those that left its session included."""
        return {process.pid for process in members(self._run, self.identity)}

    def tree_pids(self) -> set[int]:
        """The numbers of the keeper and its descendants: quick, and enough for a server that stays where it started."""
        return tree_pids(self._keeper.pid)

    def work(self) -> Work:
        """What the server and its descendants have done so far."""
        return work_of(self._keeper.pid)

    def end(self) -> None:
        """Ends the server and everything it started: asked first, killed after the grace time; safe to call again.

        Raises `EngineError` when a process cannot be ended.
        """
        if self._keeper.poll() is None:
            self._ask_keeper()
        self._close_pipe()
        stuck = end_members(self._run, self.identity, self._grace_seconds)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(timeout=_MARGIN_SECONDS)
        if stuck:
            raise EngineError(
                f"processes {', '.join(map(str, stuck))} cannot be ended; end them, or restart the machine"
            )

    def _ask_keeper(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._keeper.pid, signal.SIGTERM)
        # the keeper waits the grace time for the server, and once more for what the server left behind
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(timeout=2 * self._grace_seconds + _MARGIN_SECONDS)

    def _close_pipe(self) -> None:
        if self._keeper.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._keeper.stdin.close()


def _started(command: Sequence[str], environment: Mapping[str, str], log: BinaryIO) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    except OSError as error:
        raise EngineError(f"cannot start a process ({error.strerror}); free memory or raise ulimit -u") from error
