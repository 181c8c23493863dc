"""The other programs of the stand-in, and the words of the real ones when they refuse or fail; test equipment."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from tests.tuner.engines.tensorrt_llm.standin_batching import Machine
from tests.tuner.engines.tensorrt_llm.standin_faults import Orders
from tests.tuner.engines.tensorrt_llm.standin_steps import configuration_of, steps_of
from tuner.engines.tensorrt_llm.checkpoints import held_by
from tuner.engines.tensorrt_llm.rules import broken_rules
from tuner.engines.tensorrt_llm.versions import generation_of

if TYPE_CHECKING:
    from tuner.simulator.kernel_data import KernelData

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
    "unsupported_argument": "pydantic_core._pydantic_core.ValidationError: 1 validation error for TorchLlmArgs\n"
    "moe_config.backend\n  Value error, the backend is not supported on this GPU",
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


def read_config(file: str | None, orders: Orders, *, is_checked: bool) -> dict[str, Any]:
    """The content of a YAML file; ends as the real one does where it is refused."""
    data: dict[str, Any] = yaml.safe_load(Path(file).read_text(encoding="utf-8")) if file else {}
    refused = refusal(data, orders.version) if is_checked else None
    if refused:
        print(f"pydantic_core._pydantic_core.ValidationError: {refused}", flush=True)
        sys.exit(1)
    return data


def fail_early(data: dict[str, Any], orders: Orders) -> None:
    """Fails as ordered before anything is loaded."""
    if orders.fault("hang", data) is not None:
        time.sleep(3600)
    while orders.fault("busy_hang", data) is not None:
        pass
    for kind, lines in LAST_WORDS.items():
        fault = orders.fault(kind, data)
        if fault is not None:
            print(lines.format(component=fault.get("component", "Model")), flush=True)
            if fault.get("stays"):
                time.sleep(3600)
            sys.exit(1)


def weights_of(model: str) -> str:
    """The precision of the checkpoint that is served."""
    return held_by(Path(model))[0] if Path(model).is_dir() else "bfloat16"


def cache_tokens(data: dict[str, Any], orders: Orders) -> int:
    """The tokens that the KV cache of a YAML file's content holds."""
    small = orders.fault("kv_cache_too_small", data)
    if small is not None:
        return int(small.get("tokens", 64))
    finer = 2 if (data.get("kv_cache_config") or {}).get("dtype") == "fp8" else 1
    return orders.cache_tokens * int(data.get("tensor_parallel_size", 1)) * finer // 32 * 32


def machine_of(
    model: str, data: dict[str, Any], orders: Orders, weights: str | None = None, kernels: "KernelData | None" = None
) -> Machine:
    """How fast the model is with a YAML file's content; `weights` where its checkpoint is not made yet."""
    configuration = configuration_of(data, weights or weights_of(model), orders.gpu)
    folder = None if orders.steps_folder is None else Path(orders.steps_folder)
    config = Path(model) / "config.json"
    is_bare = config.is_file() and "architectures" not in json.loads(config.read_text())
    longest = max(data.get("max_seq_len") or 4096, 2 * orders.prompt_tokens)
    timed = orders.timed_as if is_bare else model
    steps = steps_of(timed, configuration, orders.prompt_tokens, longest, folder, kernels)
    return Machine.of(data, configuration, steps, cache_tokens(data, orders), orders.speed)


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


PROGRAMS: Mapping[str, Callable[[list[str], Orders], int]] = {
    "python3": python3,
    "trtllm-build": trtllm_build,
}
