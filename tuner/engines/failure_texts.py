"""What the log of each engine says when it fails: the first pattern that a line holds names the failure.

llama.cpp: seen from its server (xllamacpp 2026.10). vLLM and SGLang: their sources and issue trackers, looked up
2026-11. TensorRT-LLM: `tensorrt_llm.failure_texts`.
"""

from collections.abc import Mapping
from typing import Final

from tuner.engines.failures import FailurePattern, pattern
from tuner.engines.tensorrt_llm.failure_texts import TENSORRT_LLM, TENSORRT_LLM_LAST
from tuner.spec import Engine
from tuner.trial import FailureKind

_PORT_TAKEN: Final = (pattern(FailureKind.LOST, r"address already in use|Errno 98\]|couldn't bind HTTP server socket"),)
_TORCH_MEMORY: Final = (
    pattern(
        FailureKind.OUT_OF_MEMORY, r"torch\.(cuda\.)?OutOfMemoryError|CUDA out of memory|CUDA error: out of memory"
    ),
)
_HOST_MEMORY: Final = (pattern(FailureKind.OUT_OF_MEMORY, r"std::bad_alloc|Cannot allocate memory|^MemoryError"),)
_ARGUMENTS: Final = (
    pattern(FailureKind.UNSUPPORTED, r"error: (unrecognized arguments|argument .*(invalid|expected)|ambiguous option)"),
)

_LLAMA_CPP: Final = (
    pattern(FailureKind.OUT_OF_MEMORY, r"failed to allocate (buffer for kv cache|buffer for rs cache)"),
    pattern(FailureKind.OUT_OF_MEMORY, r"failed to allocate .*(buffer|compute|bytes|MB|graph|memory)"),
    pattern(FailureKind.OUT_OF_MEMORY, r"insufficient memory|cudaMalloc failed|graph allocation: failed to reserve"),
    pattern(
        FailureKind.UNSUPPORTED, r"unknown model architecture|requires flash_attn|data is not within the file bounds"
    ),
    pattern(
        FailureKind.UNSUPPORTED, r"cache type \S+ with block size \d+ does not divide|too large to convert to int32_t"
    ),
    pattern(FailureKind.UNSUPPORTED, r"invalid magic characters|failed to open GGUF file|error loading model"),
)
_VLLM: Final = (
    *_TORCH_MEMORY,
    pattern(FailureKind.OUT_OF_MEMORY, r"No available memory for the cache blocks"),
    pattern(
        FailureKind.OUT_OF_MEMORY, r"larger than the (available KV cache memory|maximum number of tokens that can)"
    ),
    pattern(FailureKind.OUT_OF_MEMORY, r"on startup is less than desired GPU memory utilization"),
    pattern(FailureKind.UNSUPPORTED, r"Model architectures .* are not supported|is not supported (for|on|by|with)\b"),
    pattern(FailureKind.UNSUPPORTED, r"validation errors? for \w*Config|Unknown quantization method"),
    pattern(FailureKind.CRASHED, r"EngineCore failed to start|Engine core initialization failed", is_final=True),
    pattern(FailureKind.CRASHED, r"EngineDeadError|EngineCore encountered a fatal error", is_final=True),
    *_ARGUMENTS,
)
_SGLANG: Final = (
    *_TORCH_MEMORY,
    pattern(FailureKind.OUT_OF_MEMORY, r"Not enough memory\. Please try|Not enough memory to allocate KV cache"),
    pattern(FailureKind.OUT_OF_MEMORY, r"Out of memory\. Please|Capture cuda graph failed: .*memory"),
    pattern(FailureKind.UNSUPPORTED, r"Model architectures .* are not supported|is not supported (for|on|by|with)\b"),
    pattern(FailureKind.CRASHED, r"Scheduler hit an exception|Received sigquit from a child process", is_final=True),
    *_ARGUMENTS,
)
FAILURE_PATTERNS: Final[Mapping[str, tuple[FailurePattern, ...]]] = {
    Engine.LLAMA_CPP.value: (*_LLAMA_CPP, *_PORT_TAKEN, *_HOST_MEMORY),
    Engine.VLLM.value: (*_VLLM, *_PORT_TAKEN, *_HOST_MEMORY),
    Engine.SGLANG.value: (*_SGLANG, *_PORT_TAKEN, *_HOST_MEMORY),
    Engine.TENSORRT_LLM.value: (*TENSORRT_LLM, *_PORT_TAKEN, *_HOST_MEMORY, *TENSORRT_LLM_LAST),
    Engine.COMMAND.value: (
        *_TORCH_MEMORY,
        pattern(FailureKind.OUT_OF_MEMORY, r"out of memory|insufficient memory|failed to allocate .*buffer"),
        *_PORT_TAKEN,
        *_HOST_MEMORY,
        *_ARGUMENTS,
    ),
}
"""The patterns of each engine, most telling first."""
