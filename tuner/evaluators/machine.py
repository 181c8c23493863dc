"""What a measurement was made on: processor, memory, system, and how busy others kept it."""

import os
import platform
from pathlib import Path
from typing import Final

import psutil

LOOK_SECONDS: Final = 0.2
"""How long others are watched before a start."""
_GIB: Final = 2**30


def machine() -> dict[str, object]:
    """Processor, logical cores, memory (GiB), system and Python, as plain data."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / _GIB, 1),
        "system": f"{platform.system()} {platform.release()}",
        "host": platform.node(),
    }


def busy_share() -> float:
    """Share of the processor that is in use now (0 to 1): by others, when asked before an engine starts."""
    return round(psutil.cpu_percent(interval=LOOK_SECONDS) / 100, 3)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()
