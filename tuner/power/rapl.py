"""Energy of CPU packages and their memory, as Intel's and AMD's processors count it (RAPL, by Linux' powercap)."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tuner.power.energy import Condition, Method
from tuner.power.errors import EnergyUnavailableError

POWERCAP: Final = Path("/sys/class/powercap")
_ZONES: Final = "intel-rapl:*"
"""AMD's zones bear the same name; `intel-rapl-mmio:*` shows the same packages by another way, and is left out."""
_COUNTED: Final = ("package-", "dram")
"""Packages contain their cores and graphics; memory stands beside; `psys` contains it all, and is left out
(Linux, Documentation/power/powercap/powercap.rst)."""
_TICK_SECONDS: Final = 0.001
"""The counters move about every millisecond (Intel SDM, volume 3B, section 16.10.1)."""
_MICRO: Final = 1e6


@dataclass(frozen=True, slots=True)
class Zone:
    """One counter: its file, and the value (µJ) after which it begins at 0 again."""

    name: str
    path: Path
    range_microjoules: int


class RaplEnergy:
    """The energy of all packages and memories; to be read at least once a minute, lest a counter wraps unseen."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = tuple(zones)
        self._lock = threading.Lock()
        self._last = {zone.name: _microjoules(zone.path) for zone in self._zones}
        self._sums = dict.fromkeys(self._last, 0)

    @classmethod
    def of_machine(cls, root: Path = POWERCAP) -> Self:
        """The counters below `root`; raises `EnergyUnavailableError` where there are none, or not all can be read."""
        return cls(rapl_zones(root))

    @property
    def method(self) -> Method:
        """Always the counter."""
        return Method.COUNTER

    @property
    def tick_seconds(self) -> float:
        """How often the counters move."""
        return _TICK_SECONDS

    def joules(self) -> Mapping[str, float]:
        """Energy of each zone since the start; raises `EnergyUnavailableError` when one cannot be read any more."""
        with self._lock:
            for zone in self._zones:
                now = _microjoules(zone.path)
                grown = now - self._last[zone.name]
                self._sums[zone.name] += grown if grown >= 0 else grown + zone.range_microjoules
                self._last[zone.name] = now
            return {name: microjoules / _MICRO for name, microjoules in self._sums.items()}

    def conditions(self) -> Mapping[str, Condition]:
        """Each zone's energy; RAPL tells nothing else."""
        return {name: Condition(joules=joules) for name, joules in self.joules().items()}


def rapl_zones(root: Path = POWERCAP) -> tuple[Zone, ...]:
    """Packages and memories below `root`, named apart; raises `EnergyUnavailableError` as `RaplEnergy.of_machine`."""
    try:
        found = [_zone(path) for path in sorted(root.glob(_ZONES)) if _name(path).startswith(_COUNTED)]
    except OSError as error:
        raise EnergyUnavailableError(f"{root} cannot be read ({error.strerror}); run as root") from error
    if not any(zone.name.startswith(_COUNTED[0]) for zone in found):
        raise EnergyUnavailableError(
            f"this machine does not tell the energy of its CPU ({root} has no package): a virtual machine or a "
            "container hides it, an old kernel lacks it; leave the objective `energy` out"
        )
    return tuple(found)


def _zone(path: Path) -> Zone:
    energy = path / "energy_uj"
    _microjoules(energy)
    # memories of several packages have the same name; the number of their zone tells them apart
    return Zone(f"{_name(path)} {path.name.partition(':')[2]}", energy, _number(path / "max_energy_range_uj"))


def _name(path: Path) -> str:
    return (path / "name").read_text(encoding="utf-8").strip()


def _microjoules(path: Path) -> int:
    try:
        return _number(path)
    except PermissionError as error:
        raise EnergyUnavailableError(
            f"{path} is for root alone (CVE-2020-8694); run as root, or allow it: chmod a+r {path}"
        ) from error
    except (OSError, ValueError) as error:
        raise EnergyUnavailableError(f"{path} cannot be read ({error}); leave the objective `energy` out") from error


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
