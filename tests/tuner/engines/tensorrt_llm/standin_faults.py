"""What the stand-in is told to do: its version, its speed, and how it fails; test equipment.

`TRTLLM_STANDIN` holds JSON, or the path of a file with JSON:

    {"version": "1.2.1", "speed": 20, "start_seconds": 0.2,
     "faults": [{"kind": "out_of_memory", "component": "KV cache", "when": {"max_num_tokens": 8192}}]}

A fault happens where every field of `when` has that value in the YAML, or at least that one for `"min_…"`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "TRTLLM_STANDIN"
KINDS = (
    "out_of_memory",
    "torch_out_of_memory",
    "unknown_architecture",
    "nccl",
    "rank_death_at_start",
    "hang",
    "busy_hang",
    "kv_cache_too_small",
    "endless_503",
    "rank_death",
    "sick_later",
    "hang_detected",
    "mid_stream_error",
    "no_report",
    "failing_build",
)


@dataclass(frozen=True)
class Orders:
    """What the stand-in is told; `speed` divides its times, `cache_tokens` is the KV cache of one GPU in bfloat16.

    `watts`: what it draws from each scripted GPU that it is given.
    """

    version: str = "1.2.1"
    speed: float = 1.0
    start_seconds: float = 0.0
    build_seconds: float = 0.0
    cache_tokens: int = 400_000
    sick_after_seconds: float = 0.5
    watts: float = 400.0
    faults: tuple[Mapping[str, Any], ...] = field(default_factory=tuple)

    def fault(self, kind: str, data: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
        """The fault of this kind that holds for the configuration, if any."""
        for one in self.faults:
            if one["kind"] == kind and all(
                _holds(name, value, data or {}) for name, value in one.get("when", {}).items()
            ):
                return one
        return None


def read_orders() -> Orders:
    """The orders in the environment; the plain stand-in without any."""
    text = os.environ.get(VARIABLE, "{}")
    data = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8"))
    faults = tuple(data.pop("faults", ()))
    unknown = [fault["kind"] for fault in faults if fault["kind"] not in KINDS]
    if unknown:
        raise SystemExit(f"the stand-in knows no fault {unknown[0]}")
    return Orders(faults=faults, **data)


def _holds(name: str, value: Any, data: Mapping[str, Any]) -> bool:
    if name.startswith("min_"):
        held = data.get(name.removeprefix("min_"))
        return held is not None and held >= value
    return bool(data.get(name) == value)
