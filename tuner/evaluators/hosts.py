"""What engines are measured on: the processor of this machine, or GPUs out of its pool (`gpu_host.py`)."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

from tuner.configuration import Configuration
from tuner.power.energy import EnergySource
from tuner.power.errors import EnergyUnavailableError, TakeCancelledError
from tuner.power.locks import FileLock
from tuner.power.rapl import RaplEnergy
from tuner.spec import POWER_KNOBS

PROCESSOR: Final = "cpu"
"""The `gpu` of a machine without one."""
LOCK: Final = "processor.lock"
_LOOK_SECONDS: Final = 0.2

_LOG = logging.getLogger(__name__)


class Host(Protocol):
    """Lends devices to servers and says how their energy is read; used by several measurements at once."""

    @property
    def driver(self) -> str:
        """The version of the devices' driver; empty where there is none."""

    @property
    def slots(self) -> int:
        """Measurements that may run at the same time at the most (count)."""

    def has_room(self, running: Sequence[Configuration]) -> bool:
        """Whether another measurement may begin beside those that run."""

    def refused(self, configuration: Configuration) -> str | None:
        """Why the configuration cannot be measured on these devices, with the mend; `None` when it can."""

    def is_empty(self) -> bool:
        """Whether no device is left that a measurement could use."""

    def no_energy(self) -> str | None:
        """Why energy cannot be measured here, with the mend; `None` when it can."""

    def taken(
        self, configuration: Configuration, cancelled: Callable[[], bool]
    ) -> AbstractContextManager[tuple[str, ...]]:
        """Ids of the devices for one server, nobody else's until the block ends; empty on a processor.

        Waits for them, and asks `cancelled` each time they are not free. Raises `TakeCancelledError` and, where they
        never will be, `TooFewGpusError`.
        """

    def energy_of(self, devices: tuple[str, ...]) -> EnergySource | None:
        """The energy of a server's devices; `None` where nothing tells it. Raises `PowerError` for a broken device."""

    def energy_beside(self) -> EnergySource | None:
        """The energy of the host's packages beside the devices; `None` where it is not told, or is no other."""

    def powered(self, devices: tuple[str, ...], configuration: Configuration) -> AbstractContextManager[None]:
        """The devices under the configuration's power limit and clock, and as before when the block ends.

        Raises `PowerError`.
        """


class ProcessorHost:
    """This machine's processor: one engine at a time, for two would disturb each other; its energy is the packages'."""

    driver = ""
    slots = 1

    def __init__(self, folder: Path) -> None:
        """Jobs whose `folder` is the same wait for one another."""
        self._lock = folder / LOCK
        self._problem: str | None = None
        self._packages: RaplEnergy | None = None
        try:
            self._packages = RaplEnergy.of_machine()
        except EnergyUnavailableError as error:
            self._problem = str(error)

    def has_room(self, running: Sequence[Configuration]) -> bool:
        """Nothing else runs."""
        return not running

    def refused(self, configuration: Configuration) -> str | None:
        """Power is set on GPUs alone."""
        named = [knob for knob in POWER_KNOBS if configuration.knob(knob) is not None]
        return f"{named[0]} is set on GPUs alone; leave it out of space" if named else None

    def is_empty(self) -> bool:
        """The processor stays."""
        return False

    def no_energy(self) -> str | None:
        """What RAPL says."""
        return self._problem

    @contextmanager
    def taken(
        self,
        configuration: Configuration,  # noqa: ARG002
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[str, ...]]:
        """The processor, without a name; nobody else of this machine measures on it meanwhile."""
        with FileLock(self._lock) as turn:
            if not turn.take():
                _LOG.info("waiting for the processor: another measurement has it")
                while not turn.take():
                    if cancelled():
                        raise TakeCancelledError("the wait for the processor was called off")
                    time.sleep(_LOOK_SECONDS)
            yield ()

    def energy_of(self, devices: tuple[str, ...]) -> EnergySource | None:  # noqa: ARG002
        """All packages and their memory."""
        return self._packages

    def energy_beside(self) -> EnergySource | None:
        """There is nothing beside the packages."""
        return None

    @contextmanager
    def powered(
        self,
        devices: tuple[str, ...],  # noqa: ARG002
        configuration: Configuration,  # noqa: ARG002
    ) -> Iterator[None]:
        """As it is."""
        yield
