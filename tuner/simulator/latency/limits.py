"""What one engine's scheduler may do, and what the CPU around it adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CapacityPolicy = Literal["GUARANTEED_NO_EVICT", "MAX_UTILIZATION"]


@dataclass(frozen=True)
class HostOverhead:
    """What the CPU around the GPU adds, in ms.

    ``intake_ms`` + ``intake_ms_per_token`` x prompt: from sending a request to its being schedulable, side by side;
    ``serial_ms`` + ``serial_ms_per_token`` x prompt: the part that one thread does for one request after the other;
    ``first_token_ms``: from the end of the prefill step until the client sees the token; ``step_ms``: what every step
    waits for; ``prefill_floor_ms``: the least a step that prefills takes (it is launched kernel by kernel, outside of
    CUDA graphs).
    """

    intake_ms: float = 0.0
    intake_ms_per_token: float = 0.0
    serial_ms: float = 0.0
    serial_ms_per_token: float = 0.0
    first_token_ms: float = 0.0
    step_ms: float = 0.0
    prefill_floor_ms: float = 0.0


@dataclass(frozen=True)
class EngineLimits:
    """What the engine's scheduler may do, per attention rank unless said otherwise.

    ``kv_tokens``: KV-cache capacity in tokens (None: never the limit). ``tokens_per_step``: output tokens that one
    decode step yields (above 1 with speculative decoding). ``balance_wait_steps``: with several ranks, how many steps
    prompts wait until every rank has one (TensorRT-LLM's ``attention_dp_config.timeout_iters`` under
    ``enable_balance``; 0: never). ``host``: what the CPU adds.
    """

    max_batch_size: int
    max_num_tokens: int
    chunked_prefill: bool = False
    kv_tokens: int | None = None
    policy: CapacityPolicy = "GUARANTEED_NO_EVICT"
    ranks: int = 1
    tokens_per_step: float = 1.0
    balance_wait_steps: int = 0
    host: HostOverhead = HostOverhead()
