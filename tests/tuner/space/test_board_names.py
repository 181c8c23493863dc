"""What the driver calls a board, and which GPU type of ours that is."""

import pytest

from tuner.space.board_names import gpu_type
from tuner.space.hardware import find_gpu


@pytest.mark.parametrize(
    ("board", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100_sxm"),
        ("NVIDIA H100 PCIe", "h100_pcie"),
        ("NVIDIA H200", "h200_sxm"),
        ("NVIDIA H200 NVL", "h200_nvl"),
        ("NVIDIA A100-SXM4-40GB", "a100_sxm"),
        ("NVIDIA A100 80GB PCIe", "a100_pcie"),
        ("NVIDIA B200", "b200_sxm"),
        ("NVIDIA GB200", "gb200"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA L40", "l40"),
        ("NVIDIA GeForce RTX 4090", None),
        ("NVIDIA H100 Engineering Sample", None),
    ],
)
def test_a_board_is_told_by_its_whole_name(board: str, name: str | None) -> None:
    assert gpu_type(board) == name


@pytest.mark.parametrize("board", ["NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3", "NVIDIA B300 SXM6 AC"])
def test_a_board_with_kernel_data_has_the_name_that_jobs_use(board: str) -> None:
    name = gpu_type(board)
    assert name is not None
    assert find_gpu(name).name == name
