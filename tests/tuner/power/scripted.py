"""A machine with scripted GPUs: what `nvml_stub.c` answers to the real `pynvml`, in this process and in others."""

import ctypes
import math
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("nvml_stub.c")
LIBRARY: Final = "libnvidia-ml.so.1"
FOLDER_VARIABLE: Final = "NVML_STUB_FOLDER"


def compiled(folder: Path) -> Path:
    """Compiles the library into a folder, for LD_LIBRARY_PATH; its path."""
    path = folder / LIBRARY
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-Wl,-soname,{LIBRARY}"]
    subprocess.run(["gcc", *flags, str(SOURCE), "-o", str(path), "-lm"], check=True)
    return path


def preload(library: Path) -> None:
    """Makes the loader of this process find the library under NVML's name (glibc matches by soname)."""
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def environment(library: Path, machine: "Machine") -> dict[str, str]:
    """What another process needs to see the machine: its loader finds the library as it finds NVIDIA's."""
    return os.environ | {"LD_LIBRARY_PATH": str(library.parent), FOLDER_VARIABLE: str(machine.folder)}


@dataclass(frozen=True, slots=True)
class Curve:
    """Watts over time: `base + swing * sin(2 pi (t - phase) / period)`, and the energy until `since`; the truth."""

    base: float
    swing: float
    period: float
    phase: float
    since: float
    joules: float

    def line(self) -> str:
        """As `nvml_stub.c` reads it."""
        return f"{self.base} {self.swing} {self.period} {self.phase} {self.since} {self.joules}"

    def joules_at(self, moment: float) -> float:
        """Energy until a moment of the monotonic clock, where no limit cuts the curve off."""
        turn = 2 * math.pi / self.period
        swung = math.cos(turn * (self.since - self.phase)) - math.cos(turn * (moment - self.phase))
        return self.joules + self.base * (moment - self.since) + self.swing / turn * swung

    def joules_between(self, start: float, end: float) -> float:
        """Energy between two moments."""
        return self.joules_at(end) - self.joules_at(start)


@dataclass(frozen=True, slots=True)
class ScriptedGpu:
    """One GPU; properties are those that `nvml_stub.c` reads, and what is set is seen at once."""

    folder: Path
    uuid: str

    def set(self, **properties: float | str) -> None:
        """Sets properties, each whole or not at all."""
        for key, value in properties.items():
            part = self.folder / f"{key}.part"
            part.write_text(f"{value}\n")
            part.rename(self.folder / key)

    def get(self, key: str) -> float | None:
        """A property as a number; `None` when it is not set."""
        path = self.folder / key
        return float(path.read_text()) if path.exists() else None

    def clear(self, key: str) -> None:
        """Takes a property back."""
        (self.folder / key).unlink(missing_ok=True)

    def fail(self, function: str, code: int) -> None:
        """Lets a call fail with one of NVML's codes; 3: not supported, 4: no permission."""
        self.set(**{f"fail_{function}": code})

    @property
    def limit_watts(self) -> float:
        """The power limit that is set."""
        return (self.get("power_limit_mw") or 0) / 1000

    @property
    def locked_mhz(self) -> float | None:
        """The clock that is locked."""
        return self.get("locked_mhz")

    def draw(self, base: float, swing: float = 0.0, period: float = 1.0) -> Curve:
        """From now on it draws `base + swing * sin(…)` watts; what it used before stays counted."""
        now = time.monotonic()
        curve = Curve(base, swing, period, now, now, self._joules_at(now))
        self.set(curve=curve.line())
        return curve

    def _joules_at(self, moment: float) -> float:
        path = self.folder / "curve"
        return Curve(*map(float, path.read_text().split())).joules_at(moment) if path.exists() else 0.0


class Machine:
    """A folder with GPUs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gpus: list[ScriptedGpu] = []

    def add(self, **properties: float | str) -> ScriptedGpu:
        """One more GPU: an H100's limits, 100 W, free, unless said otherwise."""
        number = len(self.gpus)
        gpu = ScriptedGpu(self.folder / f"gpu{number}", f"GPU-{number:08x}-0000-4000-8000-000000000000")
        gpu.folder.mkdir(parents=True)
        plain: dict[str, float | str] = {
            "uuid": gpu.uuid,
            "name": "NVIDIA H100 80GB HBM3",
            "power_limit_mw": 700_000,
        }
        gpu.set(**(plain | properties))
        gpu.draw(100)
        self.gpus.append(gpu)
        return gpu

    def link(self, *groups: tuple[int, ...]) -> None:
        """Connects the GPUs of each group by NVLink."""
        for group in groups:
            for one in group:
                self.gpus[one].set(nvlink=" ".join(str(other) for other in group if other != one))

    def forbid_changes(self) -> None:
        """Lets every change fail, as for a user who is not root."""
        (self.folder / "no_permission").write_text("1\n")

    def allow_changes(self) -> None:
        """Takes that back."""
        (self.folder / "no_permission").unlink(missing_ok=True)


def is_changed(*gpus: ScriptedGpu) -> list[bool]:
    """Whether each GPU is set otherwise than a new one."""
    return [(gpu.limit_watts, gpu.locked_mhz) != (700, None) for gpu in gpus]
