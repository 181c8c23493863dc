"""Which configurations are legal: one named rule each, with what would be right in its message."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tuner.configuration import Configuration
from tuner.space.hardware import Gpu
from tuner.space.models import ModelShape
from tuner.space.precision import WEIGHTS, supported_kv_caches, supported_weights

MAX_TENSOR_PARALLEL: Final = 8
"""Widest tensor-parallel group with measured communication (custom all-reduce) in the kernel data."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a configuration is held against: the model, its GPU, the GPUs allowed, and the longest request."""

    model: ModelShape
    gpu: Gpu
    max_gpus: int
    input_tokens: int


Rule = Callable[[Configuration, Setting], str | None]


def divisors(number: int, ceiling: int) -> str:
    """The powers of two that divide `number`, up to `ceiling`, as a phrase: "1, 2, 4 or 8"."""
    fitting = [str(2**k) for k in range(12) if 2**k <= ceiling and number % 2**k == 0]
    return fitting[0] if len(fitting) == 1 else ", ".join(fitting[:-1]) + " or " + fitting[-1]


def tensor_parallel(c: Configuration, s: Setting) -> str | None:
    """The group is a power of two within the measured range."""
    tp = c.tensor_parallel
    ceiling = min(MAX_TENSOR_PARALLEL, s.max_gpus)
    if tp > MAX_TENSOR_PARALLEL or tp & (tp - 1):
        return f"tensor_parallel {tp} has no kernel data; use {divisors(2**10, ceiling)}"
    return None


def attention_heads(c: Configuration, s: Setting) -> str | None:
    """Attention heads divide among the tensor-parallel ranks (unless attention is in data parallel)."""
    heads = s.model.attention_heads
    if c.attention_dp or heads % c.tensor_parallel == 0:
        return None
    ceiling = min(MAX_TENSOR_PARALLEL, s.max_gpus)
    return (
        f"tensor_parallel {c.tensor_parallel} does not divide {heads} attention heads; use {divisors(heads, ceiling)}"
    )


def layers(c: Configuration, s: Setting) -> str | None:
    """Layers divide evenly among the pipeline stages."""
    if s.model.layers % c.pipeline_parallel == 0:
        return None
    fitting = divisors(s.model.layers, s.max_gpus)
    return f"pipeline_parallel {c.pipeline_parallel} does not divide {s.model.layers} layers; use {fitting}"


def expert_parallel(c: Configuration, s: Setting) -> str | None:
    """Experts are divided only where there are experts, within the tensor-parallel group, and evenly."""
    ep, tp = c.expert_parallel, c.tensor_parallel
    if ep == 1:
        return None
    if not s.model.is_moe:
        return f"expert_parallel {ep} needs a mixture-of-experts model, and {s.model.name} is dense; use 1"
    if tp % ep:
        return f"expert_parallel {ep} does not divide tensor_parallel {tp}; use {divisors(tp, tp)}"
    if s.model.experts % ep:
        return f"expert_parallel {ep} does not divide {s.model.experts} experts; use {divisors(s.model.experts, tp)}"
    return None


def attention_dp(c: Configuration, s: Setting) -> str | None:
    """Attention in data parallel is for mixture-of-experts models on more than one GPU."""
    if not c.attention_dp:
        return None
    if not s.model.is_moe:
        return f"attention_dp needs a mixture-of-experts model, and {s.model.name} is dense; use false"
    return "attention_dp needs tensor_parallel above 1; use false" if c.tensor_parallel == 1 else None


def moe_backend(c: Configuration, s: Setting) -> str | None:
    """A kernel for experts needs experts."""
    if c.moe_backend is not None and not s.model.is_moe:
        return f"moe_backend needs a mixture-of-experts model, and {s.model.name} is dense; leave it out"
    return None


def gpus(c: Configuration, s: Setting) -> str | None:
    """All replicas together fit the GPUs allowed."""
    if c.gpus <= s.max_gpus:
        return None
    return (
        f"{c.replicas} × tensor_parallel {c.tensor_parallel} × pipeline_parallel {c.pipeline_parallel} takes {c.gpus} "
        f"GPUs and hardware.gpus is {s.max_gpus}; use fewer, or raise hardware.gpus"
    )


def weights(c: Configuration, s: Setting) -> str | None:
    """The GPU computes in that precision, and the kernel data knows it."""
    fitting = ", ".join(
        name for name in supported_weights(s.gpu) if WEIGHTS[name].searched or name == s.model.checkpoint_weights
    )
    if c.weights not in WEIGHTS:
        return f"weights {c.weights!r} is no precision; on {s.gpu.name} use one of {fitting}"
    if c.weights not in supported_weights(s.gpu):
        return f"weights {c.weights} is not computed by {s.gpu.name}; use one of {fitting}"
    if not WEIGHTS[c.weights].searched and c.weights != s.model.checkpoint_weights:
        return f"weights {c.weights} has no kernel data; use one of {fitting}"
    return None


def kv_cache(c: Configuration, s: Setting) -> str | None:
    """The GPU computes with that KV-cache type."""
    fitting = supported_kv_caches(s.gpu)
    if c.kv_cache in fitting:
        return None
    return f"kv_cache {c.kv_cache!r} cannot be simulated on {s.gpu.name}; use {' or '.join(fitting)}"


def max_num_tokens(c: Configuration, s: Setting) -> str | None:
    """Without chunked prefill a step must hold a whole prompt."""
    if c.chunked_prefill or c.max_num_tokens >= s.input_tokens:
        return None
    return (
        f"max_num_tokens {c.max_num_tokens} is less than the prompt of {s.input_tokens} tokens; use at least "
        f"{s.input_tokens}, or chunked_prefill: true"
    )


def load(c: Configuration, s: Setting) -> str | None:
    """Every attention rank and pipeline stage has a request to work on, so none is paid for and idle by design."""
    ranks = c.data_parallel_ranks * c.pipeline_parallel
    if c.concurrency >= ranks:
        return None
    return (
        f"concurrency {c.concurrency} leaves some of {ranks} data-parallel ranks and stages idle; use at least {ranks}"
    )


def speculative(c: Configuration, s: Setting) -> str | None:
    """The gain of speculative decoding is not guessed."""
    if c.speculative in (None, "off"):
        return None
    return f"speculative {c.speculative!r} cannot be simulated without a measured acceptance rate; leave it out"


def power_limit_watts(c: Configuration, s: Setting) -> str | None:
    """The board takes the power limit."""
    lowest, highest = s.gpu.power_limit_watts
    if c.power_limit_watts is None or lowest <= c.power_limit_watts <= highest:
        return None
    return f"power_limit_watts {c.power_limit_watts} is outside what {s.gpu.name} allows; use {lowest:g} to {highest:g}"


def gpu_clock_mhz(c: Configuration, s: Setting) -> str | None:
    """The GPU can be locked to the clock."""
    lowest, highest = s.gpu.clock_mhz
    if c.gpu_clock_mhz is None or lowest <= c.gpu_clock_mhz <= highest:
        return None
    return f"gpu_clock_mhz {c.gpu_clock_mhz} is outside what {s.gpu.name} allows; use {lowest} to {highest}"


RULES: Final[dict[str, Rule]] = {
    "attention_heads": attention_heads,
    "tensor_parallel": tensor_parallel,
    "layers": layers,
    "expert_parallel": expert_parallel,
    "attention_dp": attention_dp,
    "moe_backend": moe_backend,
    "gpus": gpus,
    "weights": weights,
    "kv_cache": kv_cache,
    "max_num_tokens": max_num_tokens,
    "load": load,
    "speculative": speculative,
    "power_limit_watts": power_limit_watts,
    "gpu_clock_mhz": gpu_clock_mhz,
}
"""Every rule by name."""

RULE_KNOB: Final = {
    "attention_heads": "tensor_parallel",
    "layers": "pipeline_parallel",
    "gpus": "replicas",
    "load": "concurrency",
}
"""The knob that a broken rule is blamed on, where it is not named like the rule."""


def broken(configuration: Configuration, setting: Setting) -> tuple[str, str] | None:
    """Name and message of the first rule that the configuration breaks; `None` when it is legal."""
    for name, rule in RULES.items():
        message = rule(configuration, setting)
        if message is not None:
            return name, message
    return None
