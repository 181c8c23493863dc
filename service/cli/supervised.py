"""Worker processes beside a command: started together, replaced when they die, ended with it."""

import logging
import os
import shutil
import threading
from types import TracebackType
from typing import Final, Self

from service.cli.power_left import put_power_back
from service.cli.processes import Child, Lifeline, private_folder, stop_all
from service.settings import load_settings

LOOK_SECONDS: Final = 1.0
"""How often dead workers are looked for; also the pause before one is replaced."""
STOP_SECONDS: Final = 5.0
"""How long workers may take to hand their jobs back."""

_log = logging.getLogger(__name__)


class Workers:
    """So many worker processes on the settings of our environment; a context manager that ends them.

    Their temporary files lie in a folder of their own, for processes that are killed leave theirs behind.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lifeline = Lifeline()
        self._folder = private_folder()
        self._children: list[Child] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="workers", daemon=True)

    def __enter__(self) -> Self:
        self._children = [self._start() for _ in range(self._count)]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        stop_all(self._children, STOP_SECONDS)
        put_power_back(load_settings().machine_folder)
        self._lifeline.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> Child:
        return Child.start(
            "worker",
            self._lifeline,
            environment=os.environ | {"TMPDIR": str(self._folder)},
            folder=self._folder,
        )

    def _look_after(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for place, child in enumerate(self._children):
                if child.exit_status is not None:
                    _log.error("worker process %s ended with status %s; starting another", child.pid, child.exit_status)
                    stop_all([child])
                    self._children[place] = self._start()
