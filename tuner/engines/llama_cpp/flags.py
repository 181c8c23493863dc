"""What llama.cpp's server is told: the flags of `llama-server` that a launch means."""

import os
from collections.abc import Mapping
from typing import Final

from tuner.configuration import Configuration
from tuner.engines.base import Launch
from tuner.engines.ports import HOST

WEIGHT_NAMES: Final[Mapping[str, str]] = {"bfloat16": "bf16", "float16": "f16", "float32": "f32"}
"""llama.cpp's names of types that other engines call otherwise."""

UNHEARD: Final = frozenset({"weights", "kv_cache", "chunked_prefill", "cuda_graphs"})
"""Common knobs whose default says nothing to llama.cpp."""

_CONTEXT_STEP: Final = 256
_PLAIN_CACHES: Final = ("f32", "f16", "bf16")
_ATTENTION: Final = {True: "on", False: "off", None: "auto"}


def server_flags(model: str, launch: Launch, port: int | str, host: str = HOST) -> tuple[str, ...]:
    """The flags of a launch; the artefact must hold a file."""
    knobs = launch.configuration
    slots = slots_of(knobs)
    attention = knobs.knob("flash_attention")
    micro_batch = knobs.knob("micro_batch") or min(512, knobs.max_num_tokens)
    look_up = "none" if knobs.speculative in (None, "off") else str(knobs.speculative).replace("_", "-")
    words = ["--model", str(launch.artefact.path), "--alias", model, "--host", host, "--port", str(port)]
    words += ["--parallel", str(slots), "--ctx-size", str(slots * context_per_slot(launch.sequence_tokens))]
    words += ["--batch-size", str(knobs.max_num_tokens), "--ubatch-size", str(micro_batch)]
    words += ["--threads", str(knobs.knob("threads") or os.cpu_count() or 1)]
    words += ["--cache-type-k", cache_type(knobs), "--cache-type-v", cache_type(knobs)]
    words += ["--flash-attn", _ATTENTION[attention if isinstance(attention, bool) else None], "--spec-type", look_up]
    # prompts that do not begin alike gain nothing from caches, which cost time and 8 GiB of memory by default
    words += ["--cache-prompt"] if launch.shares_prefixes else ["--no-cache-prompt", "--cache-ram", "0"]
    # weights mapped from the file are read again whenever the system drops them: measured 1 to 13 tokens/s for 14
    return (*words, "--load-mode", "none", "--no-kv-unified", "--fit", "off", "--metrics")


def illegal_together(configuration: Configuration) -> str | None:
    """Rules that llama.cpp holds its parameters to, some of them by changing a value in silence; with the mend."""
    knobs = configuration
    attention, micro_batch = knobs.knob("flash_attention"), knobs.knob("micro_batch")
    if cache_type(knobs) not in _PLAIN_CACHES and attention is False:
        return f"kv_cache {knobs.kv_cache} requires flash attention; use flash_attention true or kv_cache f16"
    if isinstance(micro_batch, int) and micro_batch > knobs.max_num_tokens:
        return f"micro_batch {micro_batch} is more than max_num_tokens {knobs.max_num_tokens}; lower it"
    return None


def slots_of(knobs: Configuration) -> int:
    """Parallel slots: one for each request in flight, unless set."""
    return knobs.max_batch_size or knobs.concurrency


def weight_type(knobs: Configuration) -> str:
    """llama.cpp's name of the type of the weight matrices."""
    return WEIGHT_NAMES.get(knobs.weights, knobs.weights)


def cache_type(knobs: Configuration) -> str:
    """llama.cpp's name of the KV-cache type."""
    return WEIGHT_NAMES.get(knobs.kv_cache, knobs.kv_cache)


def context_per_slot(sequence_tokens: int) -> int:
    """Tokens that a slot must hold, rounded up to the step in which llama.cpp counts them.

    One more than the longest sequence: the server ends a request whose context is full to the last token.
    """
    return -(-(sequence_tokens + 1) // _CONTEXT_STEP) * _CONTEXT_STEP
