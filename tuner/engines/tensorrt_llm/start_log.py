"""Reads from TensorRT-LLM's log how far a start has come, and how large the KV cache became.

Lines as TensorRT-LLM 1.1 to 1.3 write them (recorded logs, and `resource_manager.py`, `model_engine.py`,
`kvCacheManager.cpp`; looked up 2026-11). The KV cache is allocated twice: small to measure with, then for good; the
last line counts.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from tuner.engines.log import searched
from tuner.trial import Failure, FailureKind

PHASES: Final[Mapping[str, re.Pattern[str]]] = {
    "loading": re.compile(r"Loading (safetensors |bin )?weights|for model weights\.|Prefetching .*checkpoint files"),
    "kv_cache_sizing": re.compile(
        r"Memory used after loading model weights|Peak memory during memory usage profiling"
        r"|Estimated max memory in KV cache|for max tokens in paged KV cache"
    ),
    "autotuner": re.compile(r"\[Autotuner\] Autotuning process starts|Run autotuning warmup"),
    "cuda_graphs": re.compile(r"Creating CUDA graph instances for|CUDA graph warmup for batch size"),
    "serving": re.compile(r"Uvicorn running on|Application startup complete"),
}
"""The phases of a start in their usual order, each with the lines that show it."""

_TIME: Final = re.compile(r"^\[(\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d)\]")
_CAPACITY: Final = re.compile(r"Allocated ([\d.]+) GiB for max tokens in paged KV cache \((\d+)\)")
_SEQUENCE: Final = re.compile(r"\bmax_seq_len=(\d+), max_num_requests=|Adjusted max_seq_len to (\d+)")
_BLOCKS: Final = re.compile(r"primary blocks=\d+, secondary blocks=\d+, max sequence length=(\d+)")


@dataclass(frozen=True, slots=True)
class StartLog:
    """What the log says so far; `None` where it does not say.

    `phase`: the one that goes on. `seconds`: of each phase so far, to the second. `cache_tokens`: the KV cache of one
    attention rank. `sequence_tokens`: the longest sequence that the engine holds.
    """

    phase: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    cache_tokens: int | None = None
    cache_gib: float | None = None
    sequence_tokens: int | None = None

    def facts(self) -> dict[str, object]:
        """What is known, as plain data."""
        return {
            "start_phase": self.phase,
            "start_phase_seconds": dict(self.seconds),
            "kv_cache_tokens": self.cache_tokens,
            "kv_cache_gib": self.cache_gib,
            "max_sequence_tokens": self.sequence_tokens,
        }


def read_start(log: Path) -> StartLog:
    """What a log that may still be written says."""
    return parse_start(searched(log))


def parse_start(text: str) -> StartLog:
    """What a log's text says."""
    capacity, sequence = None, None
    for line in text.splitlines():
        if (found := _CAPACITY.search(line)) is not None:
            capacity = found
        if (held := _SEQUENCE.search(line) or _BLOCKS.search(line)) is not None:
            sequence = next(int(group) for group in held.groups() if group is not None)
    steps = list(_steps(text))
    return StartLog(
        phase=steps[-1][0] if steps else None,
        seconds=_durations(steps),
        cache_tokens=None if capacity is None else int(capacity[2]),
        cache_gib=None if capacity is None else float(capacity[1]),
        sequence_tokens=sequence,
    )


def too_small(start: StartLog, sequence_tokens: int) -> Failure | None:
    """Why the longest request of a workload (tokens, prompt and output) would not fit; `None` when it does.

    TensorRT-LLM starts all the same, lowers its longest sequence in silence, and errs inside answers later.
    """
    mend = "use kv_cache fp8, more GPUs per replica, smaller weights, or a lower max_num_tokens"
    if start.cache_tokens is not None and start.cache_tokens < sequence_tokens:
        detail = f"the KV cache holds {start.cache_tokens} tokens, and a request needs {sequence_tokens}; {mend}"
        return Failure(FailureKind.OUT_OF_MEMORY, detail)
    if start.sequence_tokens is not None and start.sequence_tokens < sequence_tokens:
        detail = (
            f"the engine lowered its longest sequence to {start.sequence_tokens} tokens, and a request needs "
            f"{sequence_tokens}; {mend}"
        )
        return Failure(FailureKind.OUT_OF_MEMORY, detail)
    return None


def _steps(text: str) -> Iterator[tuple[str, float | None]]:
    """Every change of phase, with the time of the line (s since the epoch) where the log tells it."""
    phase, now = None, None
    for line in text.splitlines():
        if (stamp := _TIME.match(line)) is not None:
            now = datetime.strptime(stamp[1], "%m/%d/%Y-%H:%M:%S").timestamp()
            if phase is None:
                phase = "starting"
                yield phase, now
        found = next((name for name, shown in PHASES.items() if shown.search(line)), None)
        if found is not None and found != phase:
            phase = found
            yield phase, now
    if phase is not None:
        yield phase, now


def _durations(steps: list[tuple[str, float | None]]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for (phase, since), (_, until) in pairwise(steps):
        if since is not None and until is not None:
            seconds[phase] = seconds.get(phase, 0.0) + until - since
    return seconds
