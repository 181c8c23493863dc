"""`trtllm-bench throughput`: offline throughput of a configuration, by its JSON report.

Flags and report: `tensorrt_llm/bench/benchmark/throughput.py` and `bench/dataclasses/reporting.py` of TensorRT-LLM 1.2
(looked up 2026-11). What the flags say stands in the YAML too, so that it does not matter which of them wins. A run
that fails may end well and say nothing: only the report counts.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tuner.configuration import Configuration
from tuner.engines.base import Cancelled, never
from tuner.engines.build_step import BuildStep, run_step
from tuner.engines.errors import BuildError, EngineFailedError
from tuner.engines.failure_texts import FAILURE_PATTERNS
from tuner.engines.failures import named_by
from tuner.engines.log import tail
from tuner.engines.records import Ledger
from tuner.engines.tensorrt_llm.deployment import FREE_GPU_MEMORY_FRACTION, batch_ceiling
from tuner.engines.tensorrt_llm.installation import BENCH, Container, Installation
from tuner.spec import Engine
from tuner.trial import Failure, FailureKind

LOG_NAME: Final = "trtllm-bench.log"
_LOG_BYTES: Final = 64 * 1024
_SPREAD: Final = {"average": "mean", "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99"}


@dataclass(frozen=True, slots=True)
class BenchRun:
    """One run: `config` is the engine's YAML, `dataset` its requests (`write_dataset`), `folder` the trial's own.

    `checkpoint`: the directory of the weights, `None` where the model's name is enough.
    """

    model: str
    configuration: Configuration
    config: Path
    dataset: Path
    folder: Path
    checkpoint: Path | None = None
    devices: tuple[str, ...] = ()
    warmup_requests: int = 2
    streaming: bool = True

    @property
    def report(self) -> Path:
        """Where the report is written."""
        return self.folder / "trtllm-bench.json"


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What a report says: figures by metric key; requests and GPUs that they rest on; the version that made it.

    `seconds`: from the first request to the end of the last; `None` where the report does not say.
    """

    metrics: Mapping[str, float]
    requests: int
    gpus: int
    version: str = "unknown"
    seconds: float | None = None
    details: Mapping[str, object] = field(default_factory=dict)


def write_dataset(path: Path, requests: Iterable[tuple[list[int], int]]) -> None:
    """Writes requests as `trtllm-bench` reads them: each the token ids of its prompt, and its output tokens."""
    with path.open("w", encoding="utf-8") as file:
        for number, (prompt, output_tokens) in enumerate(requests):
            file.write(json.dumps({"task_id": number, "input_ids": prompt, "output_tokens": output_tokens}) + "\n")


def bench_arguments(run: BenchRun) -> tuple[str, ...]:
    """What follows `trtllm-bench`."""
    knobs = run.configuration
    fraction = knobs.knob("free_gpu_memory_fraction") or FREE_GPU_MEMORY_FRACTION
    words = ["--model", run.model]
    words += ["--model_path", str(run.checkpoint)] if run.checkpoint is not None else []
    words += ["throughput", "--backend", "pytorch", "--dataset", str(run.dataset), "--config", str(run.config)]
    words += ["--tp", str(knobs.tensor_parallel), "--pp", str(knobs.pipeline_parallel)]
    words += ["--ep", str(knobs.expert_parallel)] if knobs.expert_parallel > 1 else []
    words += ["--max_batch_size", str(batch_ceiling(knobs)), "--max_num_tokens", str(knobs.max_num_tokens)]
    words += ["--kv_cache_free_gpu_mem_fraction", str(fraction)]
    words += ["--concurrency", str(knobs.concurrency), "--warmup", str(run.warmup_requests)]
    words += ["--streaming"] if run.streaming else []
    return (*words, "--report_json", str(run.report))


def run_bench(run: BenchRun, installation: Installation, ledger: Ledger, cancelled: Cancelled = never) -> BenchReport:
    """Measures, and reads the report.

    Raises `EngineFailedError` when there is no report, or one without figures; `StartCancelledError` when asked to stop.
    """
    log = run.folder / LOG_NAME
    run.report.unlink(missing_ok=True)
    folders = tuple(path for path in (run.folder, run.dataset.parent, run.checkpoint) if path is not None)
    container = Container(f"paretune-bench-{run.folder.name}", run.devices, folders)
    patterns = FAILURE_PATTERNS[Engine.TENSORRT_LLM.value]
    step = BuildStep(
        what="trtllm-bench",
        arguments=installation.words(BENCH, bench_arguments(run), container),
        log=log,
        devices=run.devices,
        stop=installation.stop_words(container),
        patterns=patterns,
    )
    ended = "it ended without one"
    try:
        run_step(step, ledger, cancelled)
    except BuildError as error:
        ended = str(error)
    text = tail(log, _LOG_BYTES)
    if not run.report.is_file():
        failure = named_by(patterns, text) or Failure(FailureKind.CRASHED, f"trtllm-bench wrote no report: {ended}")
        raise EngineFailedError(failure, text)
    return read_report(run.report, text)


def read_report(path: Path, log_tail: str = "") -> BenchReport:
    """The figures of a report; raises `EngineFailedError` when it is broken or holds none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        performance, world = data["performance"], data["world_info"]
        gpus = int(world["world_size"])
        metrics = {
            "output_tokens_per_second_per_gpu": float(performance["system_output_throughput_tok_s"]) / gpus,
            "requests_per_second": float(performance["request_throughput_req_s"]),
            **_spread("request_latency", performance.get("request_latency_percentiles_ms")),
        }
        streaming = data.get("streaming_metrics") or {}
        if "token_output_speed_tok_s" in streaming:
            metrics["output_tokens_per_second_per_user"] = float(streaming["token_output_speed_tok_s"])
        metrics |= _spread("ttft", streaming.get("ttft_percentiles"))
        metrics |= _spread("tpot", streaming.get("tpot_percentiles"))
        requests = int(data["request_info"]["num_requests"])
        version = str(data["engine"].get("version", "unknown"))
        total_ms = performance.get("total_latency_ms")
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, AttributeError) as error:
        failure = Failure(FailureKind.CRASHED, f"the report of trtllm-bench is broken ({error}); see {path}")
        raise EngineFailedError(failure, log_tail) from error
    seconds = total_ms / 1000 if isinstance(total_ms, int | float) else None
    details = {"measured_by": "trtllm-bench", "report": str(path)}
    return BenchReport(metrics, requests, gpus, version, seconds, details)


def _spread(metric: str, percentiles: object) -> dict[str, float]:
    if not isinstance(percentiles, Mapping):
        return {}
    return {
        f"{metric}_{ours}_ms": float(percentiles[theirs])
        for theirs, ours in _SPREAD.items()
        if isinstance(percentiles.get(theirs), int | float)
    }
