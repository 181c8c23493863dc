"""What NVIDIA's driver calls the GPU types that a job names.

Names as `nvidia-smi -L` and NVML's `nvmlDeviceGetName` give them, from published listings as remembered in 2026-11 and
not tried on the boards; one that is not listed is not held against a job.
"""

import re
from typing import Final

_NAMES: Final = tuple(
    (re.compile(rf"NVIDIA (?:{pattern})"), name)
    for pattern, name in (
        (r"A100-SXM4-\d+GB", "a100_sxm"),
        (r"A100-PCIE-\d+GB|A100 80GB PCIe", "a100_pcie"),
        (r"H100 80GB HBM3", "h100_sxm"),
        (r"H100 PCIe", "h100_pcie"),
        (r"H100 NVL", "h100_nvl"),
        (r"GH200 .*", "gh200"),
        (r"H200", "h200_sxm"),
        (r"H200 NVL", "h200_nvl"),
        (r"B200", "b200_sxm"),
        (r"B300( SXM6.*)?", "b300_sxm"),
        (r"GB200", "gb200"),
        (r"GB300", "gb300"),
        (r"L4", "l4"),
        (r"L40", "l40"),
        (r"L40S", "l40s"),
        (r"RTX PRO 6000 Blackwell Server Edition", "rtx_pro_6000_server"),
    )
)


def gpu_type(board: str) -> str | None:
    """The GPU type of a board by the driver's name for it; `None` for a board that is not listed."""
    return next((name for pattern, name in _NAMES if pattern.fullmatch(board.strip())), None)
