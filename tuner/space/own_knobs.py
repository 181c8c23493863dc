"""The knobs of the engines that are started and measured: which values are searched, and which are taken at all.

Common knobs (`tuner.configuration.KNOBS`) stand here where an engine understands them, with its own values; the
others are an engine's own and are held in `Configuration.options`. Where a common knob means the same, it is used:

    llama.cpp   `max_batch_size` is its parallel slots, `max_num_tokens` its logical batch (`--batch-size`: the most
                tokens of one step, prompts included), `weights` and `kv_cache` its tensor types, `speculative` its
                draft-free look-up. `chunked_prefill` and `cuda_graphs` say nothing there: it always chunks by batch.
    vLLM        `max_batch_size` is `--max-num-seqs`, `max_num_tokens` is `--max-num-batched-tokens`.
    TensorRT-LLM  the fields of the same meaning in its YAML; with `attention_dp` limits are those of one rank.
    SGLang      `max_batch_size` is `--max-running-requests`, `max_num_tokens` is `--chunked-prefill-size`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tuner.configuration import KNOBS, KnobValue
from tuner.space.precision import WEIGHTS
from tuner.spec import Engine
from tuner.spec_problems import near


class KnobKind(StrEnum):
    """What the values of a knob are."""

    WHOLE = "whole"
    SHARE = "share"
    SWITCH = "switch"
    CHOICE = "choice"


_WORDS: Final = {
    KnobKind.WHOLE: "a whole number above 0",
    KnobKind.SHARE: "a number above 0, at most 1",
    KnobKind.SWITCH: "true or false",
}


@dataclass(frozen=True, slots=True)
class EngineKnob:
    """A knob of an engine.

    `values`: what is searched by default. `choices`: all that a `CHOICE` takes; empty where the engine is not held to
    any. `default`: what the engine does when the knob is left out, `None` where that depends. `is_build_time`: another
    value needs another artefact.
    """

    name: str
    kind: KnobKind
    values: tuple[KnobValue, ...]
    meaning: str
    choices: tuple[str, ...] = ()
    default: KnobValue | None = None
    is_build_time: bool = False

    @property
    def is_common(self) -> bool:
        """Whether the knob is one that every engine may have."""
        return self.name in KNOBS

    def refused(self, value: KnobValue) -> str | None:
        """Why the knob does not take the value, with the mend; `None` when it does."""
        if self.kind is KnobKind.CHOICE:
            return self._refused_choice(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = {
            KnobKind.SWITCH: isinstance(value, bool),
            KnobKind.WHOLE: is_number and isinstance(value, int) and value >= 1,
            KnobKind.SHARE: is_number and 0 < float(value) <= 1,
        }[self.kind]
        return None if fits else f"{self.name} {value!r} does not fit; give {_WORDS[self.kind]}"

    def _refused_choice(self, value: KnobValue) -> str | None:
        known = {str(choice) for choice in (*self.values, *self.choices)}
        if not self.choices or (isinstance(value, str) and value in known):
            return None
        return f"{self.name} {value!r} is not known to the engine; {near(str(value), known)}"


_PARALLEL: Final = (
    EngineKnob("tensor_parallel", KnobKind.WHOLE, (1, 2, 4, 8), "GPUs that share each layer", default=1),
    EngineKnob("pipeline_parallel", KnobKind.WHOLE, (1,), "GPU groups that follow one another", default=1),
    EngineKnob("expert_parallel", KnobKind.WHOLE, (1,), "GPUs among which the experts are divided", default=1),
    EngineKnob("attention_dp", KnobKind.SWITCH, (False,), "attention in data parallel on the same GPUs", default=False),
)
_BATCHING: Final = (
    EngineKnob("max_batch_size", KnobKind.WHOLE, (16, 32, 64, 128, 256), "most requests that run at once"),
    EngineKnob("max_num_tokens", KnobKind.WHOLE, (2048, 4096, 8192, 16384), "most tokens of one engine step"),
    EngineKnob("chunked_prefill", KnobKind.SWITCH, (True,), "long prompts are processed in pieces", default=True),
    EngineKnob("cuda_graphs", KnobKind.SWITCH, (True,), "steps are recorded once and replayed", default=True),
)
_PREFIX_CACHING: Final = EngineKnob(
    "prefix_caching", KnobKind.SWITCH, (), "what begins like an earlier prompt is not computed again"
)

# not ngram-mod: it remembers earlier requests, so a load that repeats itself runs faster than any traffic would
# (SmolLM2, the same prompt twice: 52 tokens/s, then 94; ngram-simple drafts the same 27 tokens both times)
_LOOK_UPS: Final = ("off", "ngram_simple", "ngram_cache")
_GGML_CACHES: Final = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")


def _llama_cpp(cpus: int) -> tuple[EngineKnob, ...]:
    threads = tuple(sorted({2**power for power in range(cpus.bit_length()) if 2**power <= cpus} | {cpus}))
    return (
        EngineKnob(
            "weights",
            KnobKind.CHOICE,
            ("f16", "q8_0", "q4_0"),
            "type of the weight matrices; converted where the model's file has another",
            # a file's own type, such as q4_k_m, is taken too: the engine knows the file, and this table does not
            is_build_time=True,
        ),
        EngineKnob("kv_cache", KnobKind.CHOICE, ("f16", "q8_0"), "type of keys and values", _GGML_CACHES, "f16"),
        EngineKnob("max_batch_size", KnobKind.WHOLE, (1, 2, 4, 8), "parallel slots: requests that run at once"),
        EngineKnob("max_num_tokens", KnobKind.WHOLE, (512, 2048), "logical batch: most tokens of one step"),
        EngineKnob("speculative", KnobKind.CHOICE, ("off",), "draft-free look-up of tokens", _LOOK_UPS, "off"),
        EngineKnob("micro_batch", KnobKind.WHOLE, (128, 512), "physical batch: tokens computed together", default=512),
        EngineKnob("threads", KnobKind.WHOLE, threads, "threads that compute"),
        EngineKnob("flash_attention", KnobKind.SWITCH, (False, True), "fused attention; quantised caches need it"),
    )


_VLLM: Final = (
    *_PARALLEL,
    EngineKnob("weights", KnobKind.CHOICE, ("bfloat16", "fp8"), "precision of the weights", is_build_time=True),
    EngineKnob(
        "kv_cache", KnobKind.CHOICE, ("bfloat16", "fp8"), "precision of keys and values", ("auto", "fp8_e5m2"), "auto"
    ),
    *_BATCHING,
    EngineKnob("speculative", KnobKind.CHOICE, ("off",), "look-up of n-grams in the prompt", ("off", "ngram"), "off"),
    EngineKnob("gpu_memory_utilization", KnobKind.SHARE, (0.9,), "share of the GPU's memory that it may take"),
    EngineKnob("block_size", KnobKind.WHOLE, (), "tokens of one block of the KV cache"),
    _PREFIX_CACHING,
)
_SGLANG: Final = (
    *_PARALLEL,
    EngineKnob("weights", KnobKind.CHOICE, ("bfloat16", "fp8"), "precision of the weights", is_build_time=True),
    EngineKnob(
        "kv_cache", KnobKind.CHOICE, ("bfloat16", "fp8"), "precision of keys and values", ("auto", "fp8_e5m2"), "auto"
    ),
    *_BATCHING,
    EngineKnob("moe_backend", KnobKind.CHOICE, (), "kernels of the experts"),
    EngineKnob("speculative", KnobKind.CHOICE, ("off",), "look-up of n-grams", ("off", "ngram"), "off"),
    EngineKnob("mem_fraction_static", KnobKind.SHARE, (0.85,), "share of the GPU's memory for weights and KV cache"),
    EngineKnob("page_size", KnobKind.WHOLE, (), "tokens of one page of the KV cache", default=1),
    EngineKnob(
        "schedule_policy", KnobKind.CHOICE, (), "which waiting request is next", ("fcfs", "lpm", "dfs-weight"), "fcfs"
    ),
    _PREFIX_CACHING,
)


_TENSORRT_LLM: Final = (
    *_PARALLEL,
    EngineKnob(
        "weights",
        KnobKind.CHOICE,
        ("bfloat16", "fp8"),
        "precision of the weights; of a plain checkpoint made once where it is not there",
        tuple(WEIGHTS),
        is_build_time=True,
    ),
    EngineKnob(
        "kv_cache", KnobKind.CHOICE, ("bfloat16", "fp8"), "precision of keys and values", ("auto", "nvfp4"), "auto"
    ),
    *_BATCHING,
    EngineKnob("moe_backend", KnobKind.CHOICE, (), "kernels of the experts"),
    EngineKnob("speculative", KnobKind.CHOICE, (), "off, mtp:N, ngram:N, eagle3:N:MODEL or draft_target:N:MODEL"),
    EngineKnob(
        "backend", KnobKind.CHOICE, ("pytorch",), "tensorrt: engines built beforehand (1.2)", ("tensorrt",), "pytorch"
    ),
    EngineKnob("free_gpu_memory_fraction", KnobKind.SHARE, (0.9,), "share of the memory left that the KV cache takes"),
    EngineKnob("tokens_per_block", KnobKind.WHOLE, (), "tokens of one block of the KV cache", default=32),
    EngineKnob("block_reuse", KnobKind.SWITCH, (), "what begins like an earlier prompt is not computed again"),
    EngineKnob(
        "scheduler_policy",
        KnobKind.CHOICE,
        (),
        "which requests enter a step",
        ("GUARANTEED_NO_EVICT", "MAX_UTILIZATION", "STATIC_BATCH"),
        "GUARANTEED_NO_EVICT",
    ),
    EngineKnob("stream_interval", KnobKind.WHOLE, (), "tokens that are sent together", default=1),
    EngineKnob("autotuner", KnobKind.SWITCH, (), "kernels are tried out as the engine starts", default=True),
)


def own_knobs(
    engine: str, cpus: int = 1, given: Mapping[str, tuple[KnobValue, ...]] | None = None
) -> tuple[EngineKnob, ...]:
    """The knobs that an engine understands; `cpus`: those of the machine that measures (logical, a count).

    `given` are the knobs of a command, by name with their values: its arguments may hold any of the common ones too.
    Raises `KeyError` for an engine that is not started from here.
    """
    if engine == Engine.COMMAND:
        return tuple(_given(name, values) for name, values in (given or {}).items())
    return {
        Engine.TENSORRT_LLM.value: _TENSORRT_LLM,
        Engine.LLAMA_CPP.value: _llama_cpp(cpus),
        Engine.VLLM.value: _VLLM,
        Engine.SGLANG.value: _SGLANG,
    }[engine]


def _given(name: str, values: tuple[KnobValue, ...]) -> EngineKnob:
    return EngineKnob(name, KnobKind.CHOICE, values, "a placeholder in the command's arguments")
