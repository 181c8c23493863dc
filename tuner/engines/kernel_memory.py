"""Whether the kernel ran out of memory and killed processes."""

from pathlib import Path
from typing import Final

_VMSTAT: Final = Path("/proc/vmstat")


def kernel_kills() -> int:
    """Processes that the kernel killed for want of memory since boot, control groups included (`proc(5)`, `oom_kill`).

    Counts the whole machine; 0 where the system does not tell.
    """
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
