"""The wheel's measured aggregated serving points with the engines that the kernel data has for them."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from tuner.simulator.fidelity.procedure import SimulatedEngine
from tuner.simulator.fidelity.serving_engine import serving_engine
from tuner.simulator.fidelity.serving_table import MeasuredPoint, parse_point, without_repeats
from tuner.simulator.kernel_data import KernelData, UnsupportedError
from tuner.space.hardware import kernel_data_directory

WHEEL_TABLE = kernel_data_directory() / "systems" / "silicon_sample.csv"
SLOWEST_TTFT_MS = 30_000
"""Rows above it queued for reasons that their columns do not say."""
MOST_REQUESTS = 1024
RACKS = ("gb200", "gb300")
OTHER_PROCEDURES = (2000, 4000, 8000, 15000)
"""Prompt lengths of sets that were measured otherwise."""


@dataclass(frozen=True, slots=True)
class MeasuredEngine:
    """A point, its engine, and what the closed formula says: TTFT ms, TPOT ms, tokens/s/GPU."""

    point: MeasuredPoint
    engine: SimulatedEngine
    formula: tuple[float, float, float]


def measured_engines(name: str, kernels: KernelData) -> Iterator[MeasuredEngine]:
    """All aggregated points of one engine (trtllm, vllm, sglang) that the kernel data covers, and that fit memory."""
    with WHEEL_TABLE.open(newline="", encoding="utf-8") as lines:
        points = without_repeats([parse_point(row) for row in csv.DictReader(lines)])
    for point in points:
        if point.mode != "agg" or point.engine != name:
            continue
        try:
            found = serving_engine(point, kernels)
        except UnsupportedError:
            continue
        nan = float("nan")
        yield MeasuredEngine(point, found.engine, found.formula or (nan, nan, nan))


def usable(found: MeasuredEngine) -> bool:
    """Rows whose figures can be what an engine of their description does: no rack-scale rows, no known mix-ups."""
    point = found.point
    return (
        point.ttft_ms is not None
        and point.tpot_ms is not None
        and point.ttft_ms < SLOWEST_TTFT_MS
        and point.concurrency <= MOST_REQUESTS
        and (found.engine.kv_tokens or 0) > point.input_tokens + point.output_tokens
        and point.system not in RACKS
        and point.input_tokens not in OTHER_PROCEDURES
    )


def odd_ttft(point: MeasuredPoint) -> bool:
    """TTFT of a procedure of its own: the gap-analysis rows, and Llama-3.1-70B at 1024/1024 (3-5 times 1024/8192)."""
    llama = "Llama-3.1-70B" in point.model and point.input_tokens == point.output_tokens and point.engine == "trtllm"
    return llama or not point.inferencex
