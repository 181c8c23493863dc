"""What the stand-in is told to do: its version, its speed, and how it fails; test equipment.

`TRTLLM_STANDIN` holds JSON, or the path of a file with JSON:

    {"version": "1.2.1", "speed": 20, "start_seconds": 0.2, "steps_folder": "/tmp/steps",
     "faults": [{"kind": "out_of_memory", "component": "KV cache", "when": {"max_num_tokens": 8192}}]}

A fault happens where every field of `when` has that value in the YAML, or at least that one for `"min_…"`; a field
below another is written with a point.
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
    "unsupported_argument",
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
    "slow_bench",
    "failing_build",
)


@dataclass(frozen=True)
class Orders:
    """What the stand-in is told; `speed` divides its times, `cache_tokens` is the KV cache of one GPU in bfloat16.

    Its steps last as long as those of the model on a GPU of type `gpu`; a checkpoint that does not say what it is, is
    timed as `timed_as`. `steps_folder` keeps step times from start to start. `prompt_tokens`: prompts for which they
    are exact; others are interpolated.
    `watts`: what it draws from each scripted GPU that it is given.
    """

    version: str = "1.2.1"
    speed: float = 1.0
    start_seconds: float = 0.0
    build_seconds: float = 0.0
    cache_tokens: int = 400_000
    sick_after_seconds: float = 0.5
    gpu: str = "h100_sxm"
    timed_as: str = "meta-llama/Llama-3.1-8B-Instruct"
    prompt_tokens: int = 1024
    steps_folder: str | None = None
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
    held: Any = data
    for part in name.removeprefix("min_").split("."):
        held = held.get(part) if isinstance(held, Mapping) else None
    if name.startswith("min_"):
        return held is not None and bool(held >= value)
    return bool(held == value)
