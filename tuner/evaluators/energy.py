"""The energy of the machine that measures, as the load's windows read it."""

from tuner.power.errors import PowerError
from tuner.power.rapl import RaplEnergy


class MachineMeter:
    """Joules of all processor packages and their memory; `None` where the machine does not tell."""

    def __init__(self) -> None:
        try:
            self._counters: RaplEnergy | None = RaplEnergy.of_machine()
        except PowerError:
            self._counters = None

    def read(self) -> float | None:
        """Joules since some moment in the past."""
        if self._counters is None:
            return None
        try:
            return sum(self._counters.joules().values())
        except PowerError:
            return None
