"""Rows as the two kinds of tables have them, and the tables themselves where they are at hand."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.space.hardware import kernel_data_directory

SERVING_ROW = {
    "id": "a",
    "silicon_data_source": "silicon_concurrency=4; measured=2026-04-17T00:00:00.000Z",
    "backend": "trtllm",
    "model_path": "Qwen/Qwen3-32B",
    "system": "h100_sxm",
    "precision": "fp8",
    "mode": "agg",
    "isl": "256",
    "osl": "32",
    "batch_size": "4",
    "tp_size": "2",
    "pp_size": "1",
    "attention_dp_size": "1",
    "moe_tp_size": "",
    "moe_ep_size": "1",
    "silicon_ttft_ms": "60",
    "silicon_tpot_ms": "12",
}
ENERGY_ROW = {
    "task": "lm-arena-chat",
    "model_id": "Qwen/Qwen3-14B",
    "gpu_model": "H100",
    "num_gpus": "1",
    "weight_precision": "bfloat16",
    "max_num_seqs": "8",
    "avg_batch_size": "7.98",
    "avg_output_len": "620",
    "output_throughput_tokens_per_sec": "627",
    "avg_power_watts": "443",
    "energy_per_token_joules": "0.706",
}
MLENERGY = Path(__file__).parents[5] / "shared" / "data" / "mlenergy_v3_h100_chat.csv"


@pytest.fixture
def serving_row() -> Callable[..., dict[str, str]]:
    """Makes a serving row, with some of its cells changed."""
    return lambda **cells: {**SERVING_ROW, **cells}


@pytest.fixture
def energy_row() -> Callable[..., dict[str, str]]:
    """Makes a row of ML.ENERGY's table, with some of its cells changed."""
    return lambda **cells: {**ENERGY_ROW, **cells}


@pytest.fixture
def mlenergy_rows() -> list[dict[str, str]]:
    """The measured H100 points; skipped where the table is not beside the repository."""
    if not MLENERGY.exists():
        pytest.skip(f"{MLENERGY} is not here")
    with MLENERGY.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def wheel_rows() -> list[dict[str, str]]:
    """The measured serving points in the kernel data's wheel."""
    path = kernel_data_directory() / "systems" / "silicon_sample.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[[list[dict[str, str]]], Path]:
    """Writes rows to a CSV file."""

    def write(rows: list[dict[str, str]]) -> Path:
        path = tmp_path / "points.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write
