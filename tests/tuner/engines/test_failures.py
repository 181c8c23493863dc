"""Failures have names, each with the line of the log that says so."""

import pytest

from tuner.engines.failure_texts import FAILURE_PATTERNS
from tuner.engines.failures import MOST_DETAIL, Exit, failure_of_exit, final_failure, named_by
from tuner.trial import FailureKind

LINES = [
    ("llama.cpp", "failed to allocate buffer for kv cache", "out_of_memory"),
    ("llama.cpp", "ggml_gallocr_reserve_n_impl: failed to allocate CPU buffer of size 99", "out_of_memory"),
    ("llama.cpp", "terminate called after throwing an instance of 'std::bad_alloc'", "out_of_memory"),
    ("llama.cpp", "llama_init_from_model: quantized V cache requires flash_attn to be enabled", "unsupported"),
    ("llama.cpp", "error loading model: error loading model architecture: unknown model architecture: 'x'", "unsupported"),
    ("llama.cpp", "llama_init_from_model: K cache type q8_0 with block size 32 does not divide n_embd_head_k=16", "unsupported"),
    ("llama.cpp", "gguf_init_from_reader: invalid magic characters: ']?{P', expected 'GGUF'", "unsupported"),
    ("llama.cpp", "srv start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 23121", "lost"),
    ("vllm", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "out_of_memory"),
    ("vllm", "ValueError: No available memory for the cache blocks. Try increasing", "out_of_memory"),
    ("vllm", "ValueError: To serve at least one request with the model's max seq len (131072), (16 GiB KV cache is needed, which is larger than the available KV cache memory (9 GiB)", "out_of_memory"),
    ("vllm", "ValueError: Model architectures ['Odd'] are not supported for now.", "unsupported"),
    ("vllm", "vllm serve: error: unrecognized arguments: --no-such-flag", "unsupported"),
    ("vllm", "RuntimeError: Engine core initialization failed. See root cause above.", "crashed"),
    ("vllm", "[Errno 98] Address already in use", "lost"),
    ("sglang", "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.", "out_of_memory"),
    ("sglang", "Scheduler hit an exception: Traceback (most recent call last):", "crashed"),
    ("tensorrt-llm", "Executor creation failed due to insufficient GPU memory.", "out_of_memory"),
    ("tensorrt-llm", "ValueError: Unknown architecture for AutoModelForCausalLM: Odd", "unsupported"),
    ("command", "MemoryError", "out_of_memory"),
    ("command", "OSError: [Errno 98] Address already in use", "lost"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "line", "kind"), LINES)
def test_the_line_names_the_failure(engine: str, line: str, kind: str) -> None:
    failure = named_by(FAILURE_PATTERNS[engine], f"starting\n{line}\nTraceback\nbye")
    assert failure is not None
    assert failure.kind == kind
    assert failure.detail == line


def test_memory_explains_the_crash_that_follows_it() -> None:
    log = "EngineCore failed to start.\ntorch.OutOfMemoryError: CUDA out of memory\nEngineDeadError"
    failure = failure_of_exit(FAILURE_PATTERNS["vllm"], log, Exit(1), "before it was ready")
    assert failure.kind is FailureKind.OUT_OF_MEMORY


def test_only_final_lines_are_believed_while_the_server_lives() -> None:
    assert final_failure(FAILURE_PATTERNS["vllm"], "torch.OutOfMemoryError: retried with a smaller batch") is None
    assert final_failure(FAILURE_PATTERNS["vllm"], "EngineDeadError") is not None


def test_a_quiet_kill_by_the_kernel_is_out_of_memory() -> None:
    assert failure_of_exit((), "", Exit(-9, kernel_out_of_memory=True), "x").kind is FailureKind.OUT_OF_MEMORY
    assert failure_of_exit((), "", Exit(-9), "x").kind is FailureKind.CRASHED
    assert failure_of_exit((), "", Exit(-15, kernel_out_of_memory=True), "x").kind is FailureKind.CRASHED


def test_a_quoted_line_is_plain_and_not_endless() -> None:
    failure = failure_of_exit((), "\x1b[31mred\x1b[0m " + "x" * 9999, Exit(1), "before it was ready")
    assert "\x1b" not in failure.detail
    assert len(failure.detail) < MOST_DETAIL + 100
