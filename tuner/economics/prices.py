"""The price table: dollars per GPU-hour by GPU type and tier, with its source and date in `prices.yaml`."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def _table() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("prices.yaml").read_text(encoding="utf-8"))
    return loaded


def gpu_hour_usd(gpu: str, tier: str | None = None) -> float | None:
    """Dollars for one hour of one GPU at a tier (the table's default without one); `None` where no price is known."""
    table = _table()
    row = table["gpus"].get(gpu)
    return None if row is None else float(row[tier or table["default_tier"]])


def price_source() -> str:
    """Where the table's prices come from, with their date."""
    return f"{_table()['source']}, {_table()['date']}"
