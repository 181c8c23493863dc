"""The other programs of the stand-in, and the words of the real ones when they refuse or fail; test equipment."""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tests.tuner.engines.tensorrt_llm.standin_faults import Orders
from tuner.engines.tensorrt_llm.checkpoints import held_by
from tuner.engines.tensorrt_llm.rules import broken_rules
from tuner.engines.tensorrt_llm.versions import generation_of

_OUT_OF_MEMORY = """[TRT-LLM] [E] Failed to initialize executor on rank 0: Executor creation failed due to insufficient GPU memory.

The following component could not be created: {component}
Total GPU memory (GiB): 79.11
Free GPU memory before component creation attempt (GiB): 0.42

Previously created components and free GPU memory before/after creation (GiB):
model: 78.60 / 0.42

Please refer to the TensorRT LLM documentation for information on how to control the memory usage."""
_WORKER = "RuntimeError: Executor worker returned error"
LAST_WORDS: Mapping[str, str] = {
    "out_of_memory": f"{_OUT_OF_MEMORY}\n{_WORKER}",
    "torch_out_of_memory": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 48.00 MiB. GPU 0 has a total "
    f"capacity of 79.11 GiB of which 42.69 MiB is free.\n{_WORKER}",
    "unknown_architecture": f"ValueError: Unknown architecture for AutoModelForCausalLM: ExoticForCausalLM\n{_WORKER}",
    "nccl": "RuntimeError: Executor creation failed with NCCL error: Failed, NCCL error ncclUnhandledCudaError",
    "rank_death_at_start": "MPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD\nwith errorcode 1.",
}
_CUDA_GRAPHS = (
    "Value error, CudaGraphConfig.max_batch_size is incompatible with CudaGraphConfig.batch_sizes. When both are "
    "provided, max_batch_size must equal max(batch_sizes)."
)
_REAL_WORDS = {"cuda_graph_sizes": _CUDA_GRAPHS, "moe_parallel_product": "Value error, tp_size must equal to moe_tp_size * moe_ep_size * moe_cluster_size"}  # fmt: skip


def refusal(data: dict[str, Any], version: str) -> str | None:
    """What the real one says of a YAML that it refuses."""
    try:
        arguments = generation_of(version).arguments.model_validate(data)
    except ValidationError as error:
        return str(error).replace(error.title, "TorchLlmArgs")
    broken = broken_rules(arguments)
    if not broken:
        return None
    said = _REAL_WORDS.get(broken[0].rule, f"Value error, {broken[0].message}")
    return f"1 validation error for TorchLlmArgs\n{broken[0].field}\n  {said}"


def weights_of(model: str) -> str:
    """The precision of the checkpoint that is served."""
    return held_by(Path(model))[0] if Path(model).is_dir() else "bfloat16"


def python3(words: list[str], orders: Orders) -> int:
    """A Python in TensorRT-LLM's environment: quantises, converts."""
    options = dict(zip(words[1::2], words[2::2], strict=False))
    print(f"GPUs: {os.environ.get('CUDA_VISIBLE_DEVICES', 'all')}", flush=True)
    time.sleep(orders.build_seconds)
    if orders.fault("failing_build"):
        print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")
        return 1
    if words[0].endswith("hf_ptq.py"):
        return _quantise(options)
    target = Path(options["--output_dir"])
    target.mkdir(parents=True)
    (target / "config.json").write_text(json.dumps({"tp_size": options["--tp_size"]}))
    return 0


def _quantise(options: dict[str, str]) -> int:
    target, algorithm = Path(options["--export_path"]), {"fp8": "FP8", "nvfp4": "NVFP4", "int4_awq": "W4A16_AWQ"}
    target.mkdir(parents=True)
    source = Path(options["--pyt_ckpt_path"]) / "config.json"
    (target / "config.json").write_text(source.read_text() if source.is_file() else "{}")
    section = {"quant_algo": algorithm.get(options["--qformat"], "FP8_PB_WO"), "kv_cache_quant_algo": None}
    (target / "hf_quant_config.json").write_text(json.dumps({"quantization": section}))
    (target / "model.safetensors").write_bytes(bytes(1000))
    with (target.parent / "quantised").open("a") as log:
        log.write(options["--qformat"] + "\n")
    return 0


def trtllm_build(words: list[str], orders: Orders) -> int:
    """Builds an engine of the TensorRT backend."""
    options = dict(zip(words[0::2], words[1::2], strict=False))
    target = Path(options["--output_dir"])
    target.mkdir(parents=True)
    (target / "config.json").write_text(json.dumps(options))
    return 0


def trtllm_bench(words: list[str], orders: Orders) -> int:
    """Measures offline: the report of a run with round figures, in the real one's form."""
    options = dict(zip(words, (*words[1:], ""), strict=True))
    if orders.fault("no_report"):
        return 0
    world = int(options.get("--tp", 1)) * int(options.get("--pp", 1))
    spread = {"minimum": 1.0, "maximum": 9.0, "average": 5.0, "p50": 5.0, "p90": 8.0, "p95": 8.5, "p99": 8.9}
    report = {
        "engine": {"version": orders.version, "backend": "Pytorch"},
        "world_info": {"tp_size": world, "pp_size": 1, "world_size": world},
        "request_info": {"num_requests": 100, "avg_input_length": 128.0, "avg_output_length": 64.0},
        "performance": {
            "request_throughput_req_s": 20.0,
            "system_output_throughput_tok_s": 1280.0,
            "output_throughput_per_gpu_tok_s": 1280.0 / world,
            "output_throughput_per_user_tok_s": 80.0,
            "request_latency_percentiles_ms": {name: value * 100 for name, value in spread.items()},
        },
    }
    if "--streaming" in words:
        report["streaming_metrics"] = {
            "token_output_speed_tok_s": 90.0,
            "ttft_percentiles": spread,
            "tpot_percentiles": spread,
        }
    Path(options["--report_json"]).write_text(json.dumps(report))
    return 0


PROGRAMS: Mapping[str, Callable[[list[str], Orders], int]] = {
    "python3": python3,
    "trtllm-build": trtllm_build,
    "trtllm-bench": trtllm_bench,
}
