"""The embedded service of `tune`: an API process on a free loopback port, and one worker, on a private folder."""

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import platformdirs

from service.cli.errors import FailedError
from service.cli.interrupts import shielded
from service.cli.listening import listen, url_of
from service.cli.processes import Child, Lifeline, Role, private_folder, stop_all


class EmbeddedService:
    """Starts both processes at once and returns before they are ready: a call to `url` waits until they are.

    Leaving it ends them with all that they started, and removes the folder. They end by themselves, and remove the
    folder, when this process dies.
    """

    def __init__(self) -> None:
        self.url = ""
        self._lifeline: Lifeline | None = None
        self._children: list[Child] = []
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        try:
            with shielded():
                self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with shielded():
            self._stop()

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

    def _start(self) -> None:
        self._folder = private_folder()
        self._lifeline = Lifeline()
        environment = _environment(self._folder)
        with listen("127.0.0.1", 0) as listener:
            self.url = url_of(listener)
            sockets: dict[Role, int | None] = {"worker": None, "api": listener.fileno()}
            for role, socket in sockets.items():
                log = self._folder / f"{role}.log"
                child = Child.start(
                    role,
                    self._lifeline,
                    environment=environment,
                    log=log,
                    folder=self._folder,
                    socket=socket,
                )
                self._children.append(child)

    def _stop(self) -> None:
        stop_all(self._children)
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
        self._children = []
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


_OF_ENGINES = ("PARETUNE_TRTLLM_", "PARETUNE_ARTEFACTS_")
"""Settings that are the machine's, whoever's service it is."""


def _environment(folder: Path) -> dict[str, str]:
    """Our environment without its paretune settings, but for the engines': the embedded service is nobody else's.

    Artefacts outlive the service: they are kept where a service of its own would keep them.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PARETUNE_") or name.startswith(_OF_ENGINES)
    }
    inherited.setdefault("PARETUNE_ARTEFACTS_DIR", str(Path(platformdirs.user_data_dir("paretune")) / "artefacts"))
    return inherited | {
        "PARETUNE_DATA_DIR": str(folder),
        "PARETUNE_ALLOW_COMMANDS": "true",
        "TMPDIR": str(folder),
        "PYTHONUNBUFFERED": "1",
    }
