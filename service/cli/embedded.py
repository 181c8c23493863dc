"""The embedded service of `tune`: an API process on a free loopback port, and one worker.

All that it keeps lies in a private folder, but for jobs that start engines: what they measured, their artefacts and the
records of their servers lie in the data directory, and the service after them finds it there.
"""

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from service.cli.errors import FailedError
from service.cli.interrupts import shielded
from service.cli.listening import listen, url_of
from service.cli.power_left import put_power_back
from service.cli.processes import TERM_SECONDS, Child, Lifeline, Role, private_folder, stop_all

ENGINE_STOP_SECONDS: Final = 20.0
"""How long a worker may take to stop its engine and to hand its job back."""
KEPT_JOBS: Final = "tune"
"""Where in the data directory the jobs of `tune` that start engines lie."""


class EmbeddedService:
    """Starts its processes and returns before they are ready: a call to `url` waits until they are.

    Leaving it ends them with all that they started, and removes the private folder. They end by themselves, and remove
    the folder, when this process dies. `data`: the data directory, for a job that starts engines.
    """

    def __init__(self, data: Path | None = None) -> None:
        self.url = ""
        self._data = data
        self._lifeline: Lifeline | None = None
        self._children: list[Child] = []
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        try:
            with shielded():
                self._folder = private_folder()
                self._lifeline = Lifeline()
                with listen("127.0.0.1", 0) as listener:
                    self.url = url_of(listener)
                    self._start("api", socket=listener.fileno())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with shielded():
            self._stop()

    def start_worker(self, key: str | None = None, claim: int | None = None) -> None:
        """Starts the worker: for every job, or for that of an idempotency key, taken up where it was cut short.

        `claim`: a descriptor that the worker holds as long as it lives.
        """
        with shielded():
            self._start("worker", key=key, claim=claim)

    def check(self) -> None:
        """Raises `FailedError` with the last lines of its log when one of the processes has ended."""
        for child in self._children:
            if child.exit_status is not None:
                tail = child.log_tail()
                raise FailedError(
                    f"the {child.role} process ended with status {child.exit_status}; "
                    + ("its last lines:" if tail else "out of memory? run it again with more"),
                    *tail,
                )

    @property
    def worker_log(self) -> Path | None:
        """The worker's log, as long as the service runs."""
        return next((child.log for child in self._children if child.role == "worker"), None)

    def _start(
        self, role: Role, *, socket: int | None = None, key: str | None = None, claim: int | None = None
    ) -> None:
        assert self._folder is not None
        assert self._lifeline is not None
        child = Child.start(
            role,
            self._lifeline,
            environment=_environment(self._folder, self._data),
            log=self._folder / f"{role}.log",
            folder=self._folder,
            socket=socket,
            key=key,
            claim=claim,
        )
        self._children.append(child)

    def _stop(self) -> None:
        stop_all(self._children, TERM_SECONDS if self._data is None else ENGINE_STOP_SECONDS)
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
        if self._data is not None and self._children:
            _end_engines(self._data)
            put_power_back(Path(os.environ.get(_MACHINE_DIR) or self._data).expanduser())
        self._children = []
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _end_engines(data: Path) -> None:
    """Ends the servers of a worker that was killed: they lead process groups of their own."""
    from tuner.engines.served import ledger_of
    from tuner.engines.sweeper import sweep

    sweep(ledger_of(data))


_MACHINE_DIR: Final = "PARETUNE_MACHINE_DIR"
_OF_ENGINES: Final = ("PARETUNE_TRTLLM_", "PARETUNE_ARTEFACTS_", "PARETUNE_MEASUREMENTS_", _MACHINE_DIR)
"""Settings that are the machine's, whoever's service it is."""


def _environment(folder: Path, data: Path | None) -> dict[str, str]:
    """Our environment without its paretune settings, but for the engines': the embedded service is nobody else's."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PARETUNE_") or name.startswith(_OF_ENGINES)
    }
    kept = {"PARETUNE_DATA_DIR": str(folder)}
    if data is not None:
        database = f"sqlite:///{data / KEPT_JOBS / 'paretune.db'}"
        kept = {"PARETUNE_DATA_DIR": str(data), "PARETUNE_DATABASE_URL": database}
    allowed = {"PARETUNE_ALLOW_COMMANDS": "true", "PARETUNE_ALLOW_POWER_CONTROL": "true"}
    return inherited | kept | allowed | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
