"""trtllm-bench measures offline, and only its report counts."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tuner.engines.tensorrt_llm.conftest import INSTALLATION, MODEL, PLAIN, Order
from tuner.engines.errors import EngineFailedError
from tuner.engines.records import Ledger
from tuner.engines.tensorrt_llm.bench import BenchRun, bench_arguments, read_report, run_bench, write_dataset
from tuner.metrics import METRICS


@pytest.fixture
def run(tmp_path: Path) -> BenchRun:
    """A run of two requests."""
    write_dataset(tmp_path / "requests.jsonl", [([1, 2, 3], 8), ([4], 2)])
    (tmp_path / "c.yaml").write_text("tensor_parallel_size: 2\nmax_batch_size: 32\n")
    return BenchRun(
        MODEL, replace(PLAIN, tensor_parallel=2), tmp_path / "c.yaml", tmp_path / "requests.jsonl", tmp_path
    )


def test_the_report_becomes_metrics(run: BenchRun, order: Order) -> None:
    report = run_bench(run, INSTALLATION, Ledger(run.folder / "runs"))
    written = json.loads(run.report.read_text())
    performance, streaming = written["performance"], written["streaming_metrics"]
    assert set(report.metrics) <= set(METRICS)
    rate = report.metrics["output_tokens_per_second_per_gpu"]
    assert rate == pytest.approx(performance["output_throughput_per_gpu_tok_s"])
    assert report.metrics["ttft_p99_ms"] == streaming["ttft_percentiles"]["p99"]
    assert report.metrics["tpot_mean_ms"] == streaming["avg_tpot_ms"]
    assert report.metrics["request_latency_p50_ms"] == performance["request_latency_percentiles_ms"]["p50"]
    assert (report.requests, report.gpus, report.version) == (2, 2, "1.2.1")
    assert report.seconds == performance["total_latency_ms"] / 1000


def test_without_streaming_there_are_no_token_times(run: BenchRun, order: Order) -> None:
    report = run_bench(replace(run, streaming=False), INSTALLATION, Ledger(run.folder / "runs"))
    assert not [key for key in report.metrics if key.startswith(("ttft", "tpot"))]


def test_no_report_is_a_failure_however_the_run_ended(run: BenchRun, order: Order) -> None:
    order("no_report")
    run.report.write_text("{}")
    with pytest.raises(EngineFailedError, match="wrote no report"):
        run_bench(run, INSTALLATION, Ledger(run.folder / "runs"))


@pytest.mark.parametrize("text", ["{", "{}", "[]", json.dumps({"performance": {}, "world_info": {"world_size": 0}})])
def test_a_broken_report_is_a_failure(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(EngineFailedError, match="broken"):
        read_report(tmp_path / "report.json")


def test_the_arguments_and_the_dataset(run: BenchRun) -> None:
    words = bench_arguments(run)
    assert words[:3] == ("--model", MODEL, "throughput")
    assert words[words.index("--tp") + 1] == "2"
    assert words[words.index("--concurrency") + 1] == "32"
    first = json.loads(run.dataset.read_text().splitlines()[0])
    assert first == {"task_id": 0, "input_ids": [1, 2, 3], "output_tokens": 8}
