"""The default deployment of an engine: what an engineer gets who sets the parallelism and leaves the rest alone."""

from collections.abc import Iterator
from typing import Final

from tuner.configuration import Configuration
from tuner.space.build import CONCURRENCIES, WIDTHS, setting_of
from tuner.space.meaning import Meaning
from tuner.space.precision import supported_weights
from tuner.space.rules import broken

DEFAULT_MAX_NUM_TOKENS: Final = 8192
"""TensorRT-LLM's own default (its LLM arguments, 1.2)."""
ROOM_FOR_DECODING: Final = 256
"""Tokens of a step that a prompt must leave to running requests; else it waits for all of them, and chunking is due."""
DEFAULT_MAX_BATCH_SIZE: Final = 2048
"""TensorRT-LLM's own default (its LLM arguments, 1.2)."""


def baseline_configurations(meaning: Meaning) -> Iterator[tuple[Configuration, ...]]:
    """Default deployments, the narrowest first, each under every load of the job.

    The checkpoint's own precision (bfloat16 where the GPU lacks it), a KV cache in bfloat16, tensor parallelism alone,
    the engine's own limits for batch and step, chunked prefill only where a prompt leaves a step no room for others.
    """
    engine, gpu = meaning.targets[0]
    own = meaning.model.checkpoint_weights
    weights = own if own in supported_weights(gpu) else "bfloat16"
    chunked = meaning.lengths.input_max + ROOM_FOR_DECODING > DEFAULT_MAX_NUM_TOKENS
    for width in WIDTHS:
        replicas = meaning.spec.hardware.gpus // width
        loads = _loads(meaning, replicas) if replicas else ()
        plain = tuple(
            Configuration(
                engine=engine,
                gpu=gpu.name,
                replicas=replicas,
                tensor_parallel=width,
                weights=weights,
                max_batch_size=DEFAULT_MAX_BATCH_SIZE,
                max_num_tokens=DEFAULT_MAX_NUM_TOKENS,
                concurrency=concurrency,
                chunked_prefill=chunked,
            )
            for concurrency in loads
        )
        legal = tuple(c for c in plain if broken(c, setting_of(meaning, gpu)) is None)
        if legal:
            yield legal


def _loads(meaning: Meaning, replicas: int) -> tuple[int, ...]:
    workload = meaning.spec.workload
    if workload.is_open:
        return (DEFAULT_MAX_BATCH_SIZE,)
    if isinstance(workload.concurrency, int):
        return (-(-workload.concurrency // replicas),)
    return CONCURRENCIES
