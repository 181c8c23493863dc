"""trtllm-bench of the stand-in: offline throughput of a dataset, in the real one's command line and report; test equipment.

Options and report of TensorRT-LLM 1.2 (`bench/benchmark/throughput.py`, `bench/dataclasses/reporting.py`; looked up
2026-11). The run itself is played by the scheduling simulator.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tests.tuner.engines.tensorrt_llm.standin_faults import Orders
from tests.tuner.engines.tensorrt_llm.standin_programs import fail_early, machine_of, read_config
from tests.tuner.engines.tensorrt_llm.standin_truth import played

_COMMON: Final = {"--model", "--model_path"}
_OPTIONS: Final = {
    "--backend",
    "--concurrency",
    "--config",
    "--dataset",
    "--ep",
    "--extra_llm_api_options",
    "--kv_cache_free_gpu_mem_fraction",
    "--max_batch_size",
    "--max_num_tokens",
    "--num_requests",
    "--pp",
    "--report_json",
    "--tp",
    "--warmup",
}
_FLAGS: Final = {"--streaming"}
_FIELDS: Final = {
    "--tp": "tensor_parallel_size",
    "--pp": "pipeline_parallel_size",
    "--max_batch_size": "max_batch_size",
    "--max_num_tokens": "max_num_tokens",
}

Floats = NDArray[np.float64]


def trtllm_bench(words: list[str], orders: Orders) -> int:
    """`trtllm-bench --model M throughput …`: measures, and writes its report."""
    options = _parsed(words)
    flags = {field: int(options[flag]) for flag, field in _FIELDS.items() if flag in options}
    file = options.get("--config") or options.get("--extra_llm_api_options")
    data = {**flags, **read_config(file, orders, is_checked=True)}  # in 1.2 the YAML goes before the flags
    fail_early(data, orders)
    print("[TRT-LLM] [I] Running warmup.", flush=True)
    time.sleep(3600 if orders.fault("slow_bench", data) else orders.start_seconds)
    if orders.fault("no_report", data):
        return 0
    report = _report(options, data, orders)
    time.sleep(report["performance"]["total_latency_ms"] / 1000)
    Path(options["--report_json"]).write_text(json.dumps(report))
    return 0


def _parsed(words: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    known = _COMMON
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "throughput":
            known = _OPTIONS | _FLAGS
        elif word not in known:
            print(f"Usage: trtllm-bench throughput [OPTIONS]\n\nError: No such option: {word}", flush=True)
            sys.exit(2)
        else:
            options[word] = "" if word in _FLAGS else rest.pop(0)
    return options


def _report(options: dict[str, str], data: dict[str, Any], orders: Orders) -> dict[str, Any]:
    lines = Path(options["--dataset"]).read_text(encoding="utf-8").splitlines()
    requests = [(len(one["input_ids"]), int(one["output_tokens"])) for one in map(json.loads, lines)]
    model = options.get("--model_path") or options["--model"]
    machine = machine_of(model, data, orders)
    timeline = played(machine, requests, int(options.get("--concurrency", len(requests))))
    seconds = (timeline.end_ms.max() - timeline.sent_ms.min()) / 1000 / machine.speed
    tokens = int(timeline.output_tokens.sum()) * machine.lanes
    tensor, pipeline = data.get("tensor_parallel_size", 1), data.get("pipeline_parallel_size", 1)
    latency, ttft, tpot = (
        times / machine.speed for times in (timeline.request_latency_ms, timeline.ttft_ms, timeline.tpot_ms)
    )
    report: dict[str, Any] = {
        "engine": {"model": options["--model"], "version": orders.version, "backend": "Pytorch"},
        "world_info": {"tp_size": tensor, "pp_size": pipeline, "world_size": tensor * pipeline},
        "request_info": {
            "num_requests": len(requests),
            "avg_input_length": sum(prompt for prompt, _ in requests) / len(requests),
            "avg_output_length": sum(output for _, output in requests) / len(requests),
        },
        "performance": {
            "total_latency_ms": seconds * 1000,
            "avg_request_latency_ms": float(latency.mean()),
            "request_throughput_req_s": len(timeline.end_ms) * machine.lanes / seconds,
            "system_output_throughput_tok_s": tokens / seconds,
            "output_throughput_per_user_tok_s": float((1000 * timeline.output_tokens / latency).mean()),
            "output_throughput_per_gpu_tok_s": tokens / seconds / (tensor * pipeline),
            "request_latency_percentiles_ms": _percentiles(latency),
        },
    }
    if "--streaming" in options:
        report["streaming_metrics"] = {
            "token_output_speed_tok_s": float((1000 / tpot).mean()),
            "avg_ttft_ms": float(ttft.mean()),
            "avg_tpot_ms": float(tpot.mean()),
            "ttft_percentiles": _percentiles(ttft),
            "tpot_percentiles": _percentiles(tpot),
        }
    return report


def _percentiles(values: Floats) -> dict[str, float]:
    named = {f"p{share}": float(np.percentile(values, share)) for share in (50, 90, 95, 99)}
    return {"minimum": float(values.min()), "maximum": float(values.max()), "average": float(values.mean()), **named}
