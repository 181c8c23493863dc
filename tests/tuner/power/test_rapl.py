"""Energy of a CPU: the kernel's counters, read from a folder made like /sys/class/powercap."""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest

from tuner.power.energy import Method
from tuner.power.errors import EnergyUnavailableError
from tuner.power.meter import Meter
from tuner.power.rapl import RaplEnergy

RANGE = 262_143_328_850


def zone(root: Path, folder: str, name: str, microjoules: int = 0) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "max_energy_range_uj").write_text(f"{RANGE}\n")
    counter = path / "energy_uj"
    counter.write_text(f"{microjoules}\n")
    return counter


def test_packages_and_their_memory_are_counted_once(tmp_path: Path) -> None:
    counted = [
        zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000),
        zone(tmp_path, "intel-rapl:1", "package-1"),
        zone(tmp_path, "intel-rapl:0:1", "dram"),
        zone(tmp_path, "intel-rapl:1:1", "dram"),
    ]
    contained = [
        zone(tmp_path, "intel-rapl:0:0", "core"),
        zone(tmp_path, "intel-rapl:2", "psys"),
        zone(tmp_path, "intel-rapl-mmio:0", "package-0"),
    ]
    meter = Meter(RaplEnergy.of_machine(tmp_path))
    assert meter.read() == 0
    for counter in (*counted, *contained):
        counter.write_text(f"{int(counter.read_text()) + 2_000_000}\n")
    assert meter.read() == pytest.approx(8.0)


def test_a_counter_that_begins_anew_goes_on(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", RANGE - 3_000_000)
    energy = RaplEnergy.of_machine(tmp_path)
    counter.write_text("4000000\n")
    assert sum(energy.joules().values()) == pytest.approx(7.0)
    counter.write_text("5000000\n")
    assert sum(energy.joules().values()) == pytest.approx(8.0)
    assert energy.method is Method.COUNTER


def test_a_machine_that_hides_its_counters_says_so(tmp_path: Path) -> None:
    with pytest.raises(EnergyUnavailableError, match=r"a container hides it.*leave the objective `energy` out"):
        RaplEnergy.of_machine(tmp_path / "powercap")


def test_counters_for_root_alone_say_how_to_open_them() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as changed:
        zone(Path(folder), "intel-rapl:0", "package-0").chmod(0)
        if os.geteuid() == 0:
            Path(folder).chmod(0o755)
            os.seteuid(65534)
            changed.callback(os.seteuid, 0)
        with pytest.raises(EnergyUnavailableError, match=r"for root alone.*chmod a\+r"):
            RaplEnergy.of_machine(Path(folder))


def test_a_counter_that_cannot_be_read_spoils_the_sum_rather_than_shrink_it(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0")
    other = zone(tmp_path, "intel-rapl:1", "package-1")
    meter = Meter(RaplEnergy.of_machine(tmp_path))
    other.unlink()
    assert meter.read() is None
    assert "cannot be read" in str(meter.problem)
