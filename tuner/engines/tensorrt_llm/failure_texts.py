"""What TensorRT-LLM's log says when it fails.

Sources (NVIDIA/TensorRT-LLM 1.2 to 1.3, looked up 2026-11): `_torch/pyexecutor/py_executor_creator.py` (the component
that ran out of memory, and what each needs), `_torch/pyexecutor/py_executor.py` (its own hang detector),
`executor/proxy.py`, `llmapi/llm.py`, `batch_manager/kvCacheManager.cpp`, `commands/serve.py`, and its issue tracker.
"""

import re
from collections.abc import Mapping
from typing import Final

from tuner.engines.failures import FailurePattern, pattern
from tuner.trial import FailureKind

_SHARD: Final = "lower max_num_tokens, or divide the weights with tensor_parallel or pipeline_parallel"
COMPONENTS: Final[Mapping[str, str]] = {
    "Sampler": "shorten the requests",
    "Drafter": "shorten the requests, or draft fewer tokens",
    "Guided Decoder": "leave guided decoding out",
    "Speculative decoding resources": "shorten the requests, or lower max_batch_size",
    "Initial KV Cache (temporary for KV cache size estimation)": "lower max_num_tokens",
    "Additional executor resources (temporary for KV cache size estimation)": "lower max_num_tokens",
    "Model resources created during usage": "lower max_num_tokens",
    "Additional executor resources": "lower max_num_tokens",
    "KV cache": "lower free_gpu_memory_fraction",
    "Model": _SHARD,
    "Draft model for speculative decoding": _SHARD,
}
"""Each component of an executor that can run out of memory, as the log names it, with what helps."""

TENSORRT_LLM: Final[tuple[FailurePattern, ...]] = (
    *(
        pattern(
            FailureKind.OUT_OF_MEMORY,
            rf"The following component could not be created: {re.escape(name)}\s*$",
            is_final=True,
            mend=mend,
        )
        for name, mend in COMPONENTS.items()
    ),
    pattern(FailureKind.OUT_OF_MEMORY, r"Executor creation failed due to insufficient GPU memory", is_final=True),
    pattern(
        FailureKind.OUT_OF_MEMORY,
        r"torch\.(cuda\.)?(OutOfMemoryError|AcceleratorError: CUDA error: out of memory)"
        r"|CUDA out of memory|CUDA error: out of memory|CUDA runtime error in .*out of memory",
    ),
    pattern(
        FailureKind.OUT_OF_MEMORY, r"cannot be allocated in the KV cache|Can't allocate new blocks|No free blocks left"
    ),
    pattern(FailureKind.OUT_OF_MEMORY, r"attention window .*too large to fit even a single sequence"),
    pattern(
        FailureKind.UNSUPPORTED,
        r"Unknown architecture for AutoModelForCausalLM|unsupported quant mode|Only SM\d+ is supported by",
        is_final=True,
    ),
    pattern(FailureKind.UNSUPPORTED, r"validation errors? for \w*(LlmArgs|Config)", is_final=True),
    pattern(
        FailureKind.UNSUPPORTED,
        r"conflicting with (kv_cache_)?quant_algo=|Overriding KV cache quantization with an invalid type"
        r"|Unsupported quantization_config",
    ),
    pattern(FailureKind.UNSUPPORTED, r"Error: (No such option|Invalid value for|Got unexpected extra argument)"),
)
"""What says why, most telling first."""

TENSORRT_LLM_LAST: Final[tuple[FailurePattern, ...]] = (
    pattern(FailureKind.CRASHED, r"Executor creation failed with NCCL error", is_final=True),
    pattern(FailureKind.CRASHED, r"Hang detected on rank \d+ in PyExecutor", is_final=True),
    pattern(FailureKind.CRASHED, r"Executor worker returned error|MPI_ABORT was invoked", is_final=True),
    pattern(FailureKind.CRASHED, r"Executor worker initialization error|mpi\w* noticed that process rank \d+"),
    pattern(FailureKind.UNSUPPORTED, r"No GPU devices found on the node"),
)
"""What says that it is over, and rarely why."""
