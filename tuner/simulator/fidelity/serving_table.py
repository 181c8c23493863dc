"""Measured serving points in the columns of the wheel's `silicon_sample.csv`, read and put right.

Known slips of the table that are mended here: DeepSeek rows whose `tp_size` or `attention_dp_size` is the square of
the real width (64 for 8 GPUs, 16 for 4), empty or zero sizes, and the concurrency hidden in `silicon_data_source`.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from tuner.simulator.fidelity.cells import BrokenCellError, Row, count, measured, text
from tuner.simulator.fidelity.figures import Figures

EngineName = Literal["trtllm", "vllm", "sglang"]
ENGINES: Final = ("trtllm", "vllm", "sglang")
HEADER: Final = frozenset({"model_path", "system", "isl", "osl"})
"""Columns that tell a table of serving points."""

_CONCURRENCY: Final = re.compile(r"silicon_concurrency=(\d+)")
_MEASURED: Final = re.compile(r"measured=(\d{4}-\d\d-\d\d)")
_MEAN_SOURCES: Final = (
    "source_file=2026-03-25.csv",
    "source_file=2026-04-06.csv",
    "db-dump/",
    "aic-auto-gap-analysis",
)
_SPECULATIVE_DATES: Final = ("2026-01-14", "2026-02-05", "2026-02-06")
_GUESSED_RANKS: Final = 8
"""Widest deployment of one node; above it, equal MoE sizes betray a squared width."""


@dataclass(frozen=True, slots=True)
class MeasuredPoint:
    """One engine configuration under one load, with what was measured (`None`: not known).

    `concurrency` counts requests in flight over all ranks; `precision` is the table's word (fp8, fp4, bf16, int4 or
    empty). `gpus` = tensor_parallel x pipeline_parallel x attention_dp, as the kernel data counts them.
    """

    name: str
    engine: str
    engine_version: str
    model: str
    system: str
    precision: str
    input_tokens: int
    output_tokens: int
    concurrency: int
    tensor_parallel: int
    pipeline_parallel: int
    attention_dp: int
    moe_tensor_parallel: int
    moe_expert_parallel: int
    gemm: str = ""
    moe: str = ""
    mode: str = "agg"
    ttft_ms: float | None = None
    ttft_p99_ms: float | None = None
    tpot_ms: float | None = None
    rate: float | None = None
    source: str = ""

    @property
    def gpus(self) -> int:
        """GPUs of the deployment."""
        return self.tensor_parallel * self.pipeline_parallel * self.attention_dp

    @property
    def output_tokens_per_second_per_gpu(self) -> float | None:
        """Measured, or by Little's law from TTFT and TPOT; `None` where those are missing."""
        if self.rate is not None:
            return self.rate
        if self.ttft_ms is None or self.tpot_ms is None:
            return None
        latency_s = (self.ttft_ms + self.tpot_ms * (self.output_tokens - 1)) / 1000.0
        return self.concurrency * self.output_tokens / latency_s / self.gpus

    @property
    def figures(self) -> Figures:
        """What was measured."""
        return Figures(self.ttft_ms, self.ttft_p99_ms, self.tpot_ms, self.output_tokens_per_second_per_gpu)

    @property
    def measured(self) -> str:
        """ISO date of the measurement, empty where the row does not say."""
        found = _MEASURED.search(self.source)
        return found[1] if found else ""

    @property
    def ttft_statistic(self) -> Literal["mean", "median"]:
        """What `ttft_ms` is: the wheel's sources list means (they grow with the starting burst), others medians."""
        return "mean" if any(source in self.source for source in _MEAN_SOURCES) else "median"

    @property
    def speculative(self) -> bool:
        """Whether the row belongs to InferenceX's TensorRT-LLM sweeps with MTP, which the table does not name.

        Told by their dates: all DeepSeek rows of these three days are 1.2 to 2.5 times faster per token than the same
        configurations measured on 2025-11-02, 2025-12-15, 2026-01-29 and 2026-02-03.
        """
        return self.engine == "trtllm" and "DeepSeek" in self.model and self.measured in _SPECULATIVE_DATES

    @property
    def inferencex(self) -> bool:
        """Whether the row was measured by the InferenceX procedure (lengths from 80 to 100 % of the nominal)."""
        return "harrli" not in self.source


def parse_point(row: Row) -> MeasuredPoint:
    """One row of the table; raises `BrokenCellError` naming the column that cannot be read."""
    tensor, data = count(row, "tp_size", 1), count(row, "attention_dp_size", 1)
    pipeline = count(row, "pp_size", 1)
    moe_tensor, moe_expert = count(row, "moe_tp_size", 1), count(row, "moe_ep_size", 1)
    listed = tensor * data
    squared = moe_tensor == moe_expert > 1 and listed == moe_tensor * moe_expert
    if squared and max(tensor, data) > _GUESSED_RANKS:
        tensor, data = (moe_expert, 1) if tensor > data else (1, moe_expert)
        moe_tensor = 1
    if tensor * data != moe_tensor * moe_expert:
        moe_tensor = max(1, tensor * data // moe_expert)
    source = row.get("silicon_data_source") or ""
    engine = text(row, "backend", "trtllm").lower().replace("tensorrt-llm", "trtllm")
    if engine not in ENGINES:
        raise BrokenCellError("backend", f"must be one of {', '.join(ENGINES)}, not {engine!r}")
    return MeasuredPoint(
        name=row.get("id") or "",
        engine=engine,
        engine_version=row.get("backend_version") or "",
        model=text(row, "model_path"),
        system=text(row, "system"),
        precision=text(row, "precision", ""),
        input_tokens=_tokens(row, "isl"),
        output_tokens=_tokens(row, "osl"),
        concurrency=_concurrency(row, source, data, mended=listed != tensor * data),
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        attention_dp=data,
        moe_tensor_parallel=moe_tensor,
        moe_expert_parallel=moe_expert,
        gemm=text(row, "gemm_quant_mode", ""),
        moe=text(row, "moe_quant_mode", ""),
        mode=text(row, "mode", "agg"),
        ttft_ms=measured(row, "silicon_ttft_ms"),
        ttft_p99_ms=measured(row, "silicon_ttft_p99_ms"),
        tpot_ms=measured(row, "silicon_tpot_ms"),
        rate=measured(row, "silicon_output_tokens_per_second_per_gpu"),
        source=source,
    )


def without_repeats(points: list[MeasuredPoint]) -> list[MeasuredPoint]:
    """The table lists many measurements two or three times (one per source file): keep the first of each."""
    seen: dict[tuple[object, ...], MeasuredPoint] = {}
    for point in points:
        key = (point.engine, point.system, point.input_tokens, point.output_tokens, point.ttft_ms, point.tpot_ms)
        seen.setdefault(key, point)
    return list(seen.values())


def _tokens(row: Row, column: str) -> int:
    found = count(row, column, 0)
    if not found:
        raise BrokenCellError(column, "is empty or zero; give the nominal number of tokens")
    return found


def _concurrency(row: Row, source: str, data_ranks: int, *, mended: bool) -> int:
    """Requests in flight over all ranks: a column of its own, else the source's note, else ranks times `batch_size`."""
    stated = count(row, "silicon_concurrency", 0) or count(row, "concurrency", 0)
    if stated:
        return stated
    found = _CONCURRENCY.search(source)
    if found:
        return int(found[1])
    return count(row, "batch_size", 1) * (data_ranks if mended else count(row, "attention_dp_size", 1))
