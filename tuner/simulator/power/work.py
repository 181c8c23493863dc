"""What one engine step asks of each GPU: arithmetic, memory traffic and messages, from the shape of a model.

The usual roofline accounting of a decoder: two operations a weight and token, the key-value cache read once a step,
an expert's weights read once a step if any token chose it. Bytes and floating-point operations are per GPU and step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuner.simulator.power.decoder import Decoder

BYTES_PER_WEIGHT = {
    "bfloat16": 2.0,
    "float16": 2.0,
    "fp8": 1.0,
    "fp8_block": 1.0,
    "int8": 1.0,
    "nvfp4": 0.5625,
    "mxfp4": 0.53125,
    "int4_awq": 0.5625,
}
"""Bytes a weight with its block scales (nvfp4: one byte per 16 values, mxfp4: per 32; AWQ: scale and zero per 128)."""

ACTIVATION_PASSES = 12.0
"""Reads and writes of the hidden state a layer (norms, residuals, projections); an estimate, small beside weights."""


@dataclass(frozen=True, slots=True)
class Load:
    """The mean step of a steady load: sequences decoding, prompt tokens prefilled beside them, and mean context."""

    decode_sequences: float
    prefill_tokens: float
    context_tokens: float

    @property
    def tokens(self) -> float:
        """Tokens that pass the weights in one step."""
        return self.decode_sequences + self.prefill_tokens


@dataclass(frozen=True, slots=True)
class Layout:
    """How a replica lies on its GPUs, all of which share the weights.

    `expert_parallel`: experts lie whole on GPUs (their load is then uneven); `attention_dp`: attention in data
    parallel. `weights` and `expert_weights` are precisions of `BYTES_PER_WEIGHT`; `kv_bytes` per element.
    """

    gpus: int = 1
    attention_dp: bool = False
    expert_parallel: bool = False
    weights: str = "bfloat16"
    expert_weights: str | None = None
    kv_bytes: float = 2.0

    @property
    def precision_of_experts(self) -> str:
        """Precision of the routed experts."""
        return self.expert_weights or self.weights


@dataclass(frozen=True, slots=True)
class StepWork:
    """Work of one step on one GPU: bytes, floating-point operations, messages.

    `expert_crowding_*` is by how much the most loaded GPU exceeds the mean of expert bytes and arithmetic (>= 1).
    """

    dense_bytes: float
    expert_bytes: float
    kv_bytes: float
    state_bytes: float
    activation_bytes: float
    dense_flops: float
    expert_flops: float
    attention_flops: float
    message_bytes: float
    messages: int
    expert_crowding_bytes: float = 1.0
    expert_crowding_flops: float = 1.0

    @property
    def memory_bytes(self) -> float:
        """All traffic to and from HBM."""
        return self.dense_bytes + self.expert_bytes + self.kv_bytes + self.state_bytes + self.activation_bytes


def steady_load(batch: float, input_tokens: float, output_tokens: float) -> Load:
    """Mean step of `batch` sequences in flight, each finished one replaced at once.

    Each decode step ends batch/output_tokens sequences, so as many prompts enter. Raises `ValueError` on lengths or
    batches that are not positive.
    """
    if batch <= 0 or output_tokens <= 0 or input_tokens < 0:
        raise ValueError(
            f"batch {batch:g} and output tokens {output_tokens:g} must be above 0, input tokens at least 0"
        )
    return Load(batch, batch * input_tokens / output_tokens, input_tokens + output_tokens / 2.0)


def step_work(shape: Decoder, load: Load, layout: Layout) -> StepWork:
    """Work per GPU of one step of `load`."""
    gpus, tokens = layout.gpus, load.tokens
    dense_share = 1.0 if layout.attention_dp else 1.0 / gpus
    attention_gpus = gpus if layout.attention_dp else min(gpus, shape.kv_heads)
    seen = shape.full_attention_layers * load.context_tokens
    seen += shape.sliding_attention_layers * min(load.context_tokens, shape.sliding_window)
    messages = 0 if gpus == 1 else 2 * shape.layers
    dense_bytes = shape.dense_params * BYTES_PER_WEIGHT[layout.weights]
    expert_bytes, crowding_bytes, crowding_flops = _expert_traffic(shape, tokens, layout)
    return StepWork(
        dense_bytes=dense_bytes * dense_share,
        expert_bytes=expert_bytes,
        kv_bytes=load.decode_sequences * seen * shape.kv_elements_per_token * layout.kv_bytes / attention_gpus,
        state_bytes=2.0 * load.decode_sequences * shape.state_bytes_per_sequence / gpus,
        activation_bytes=ACTIVATION_PASSES * 2.0 * tokens * shape.hidden * shape.layers * (0.5 + 0.5 / gpus),
        dense_flops=2.0 * tokens * shape.dense_params / gpus,
        expert_flops=2.0 * tokens * (shape.active_params - shape.dense_params) / gpus,
        attention_flops=4.0 * load.decode_sequences * seen * shape.score_width / gpus,
        message_bytes=messages * tokens * shape.hidden * 2.0 * 2.0 * (1.0 - 1.0 / gpus),
        messages=messages,
        expert_crowding_bytes=crowding_bytes,
        expert_crowding_flops=crowding_flops,
    )


def _expert_traffic(shape: Decoder, tokens: float, layout: Layout) -> tuple[float, float, float]:
    """Bytes of expert weights touched per GPU, and the crowding of the most loaded GPU in bytes and arithmetic.

    Uniform routing: an expert stays untouched with (1 - k/E)^tokens. Crowding is the usual bound on the maximum of
    `gpus` binomial counts, mean + sqrt(2 ln(gpus) variance).
    """
    if not shape.experts:
        return 0.0, 1.0, 1.0
    gpus = layout.gpus
    untouched = (1.0 - shape.experts_per_token / shape.experts) ** tokens
    touched = shape.expert_params * BYTES_PER_WEIGHT[layout.precision_of_experts] * (1.0 - untouched) / gpus
    if gpus == 1 or not layout.expert_parallel:
        return touched, 1.0, 1.0
    held = shape.experts / gpus
    mean = held * (1.0 - untouched)
    most = min(held, mean + math.sqrt(2.0 * math.log(gpus) * mean * untouched))
    routed = tokens * shape.experts_per_token / gpus
    return touched, most / mean, 1.0 + math.sqrt(2.0 * math.log(gpus) / routed)
