"""Speculative decoding in TensorRT-LLM 1.3: acceptance limits by rate, and algorithms that 1.2 does not have.

Source: as in `arguments_1_3`. The fields that steer acceptance have other names than in 1.2; both are taken.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tuner.engines.tensorrt_llm.kv_cache import NonNegativeInt, PositiveInt
from tuner.engines.tensorrt_llm.speculative import (
    AutoConfig,
    DraftTargetConfig,
    EagleConfig,
    LookaheadConfig,
    MedusaConfig,
    MtpConfig,
    NGramConfig,
    SaveHiddenStatesConfig,
    SpeculativeBase,
)
from tuner.engines.tensorrt_llm.strict import Arguments


class Added(Arguments):
    """What 1.3 adds to every algorithm."""

    acceptance_rate_threshold: Annotated[float, Field(ge=0)] | None = None
    acceptance_rate_window_size: NonNegativeInt | None = None
    advanced_sampling_mode: Literal["full", "no_topk", "no_topp", "no_topk_no_topp"] | None = None
    use_rejection_sampling: bool = False
    enable_penalty: bool = False


class SuffixEnhancer13(Arguments):
    """Drafts of a suffix automaton go before those of the model from so many matching tokens on."""

    threshold: PositiveInt = 4
    enable_global_pool: bool = False


class Enhanced(Added):
    """An algorithm that a suffix automaton may help."""

    sa_config: SuffixEnhancer13 | None = None


class Mtp13(Enhanced, MtpConfig):
    """Multi-token prediction."""


class Eagle13(Enhanced, EagleConfig):
    """EAGLE."""


class NGram13(Added, NGramConfig):
    """Look-up of n-grams."""


class DraftTarget13(Added, DraftTargetConfig):
    """A small model drafts for a large one."""


class SaveHiddenStates13(Added, SaveHiddenStatesConfig):
    """Writes hidden states; no speculation."""


class Auto13(Added, AutoConfig):
    """The engine chooses."""


class Medusa13(Added, MedusaConfig):
    """Medusa heads; refused by rule."""


class Lookahead13(Added, LookaheadConfig):
    """Lookahead decoding; refused by rule."""


class Parallel13(Enhanced, SpeculativeBase):
    """Draft models that write several tokens at once (PARD, DFlash, DSpark)."""

    needs_draft_model: ClassVar[bool] = True

    decoding_type: Literal["PARD", "DFlash", "DSpark"]
    block_size: PositiveInt | None = None
    mask_token_id: int | None = None
    target_layer_ids: list[int] | None = None
    attention_backend: Literal["VANILLA", "TRTLLM"] | None = None
    markov_head_type: Literal["vanilla", "gated", "rnn"] | None = None
    markov_rank: PositiveInt | None = None


class SuffixAutomaton13(Added, SpeculativeBase):
    """Drafts from a suffix automaton over the text so far."""

    decoding_type: Literal["SA"]
    max_matching_ngram_size: int = 2
    enable_global_pool: bool = False
    global_pool_size: PositiveInt | None = None


SpeculativeConfig13 = Annotated[
    Mtp13
    | Eagle13
    | NGram13
    | DraftTarget13
    | SaveHiddenStates13
    | Auto13
    | Medusa13
    | Lookahead13
    | Parallel13
    | SuffixAutomaton13,
    Field(discriminator="decoding_type"),
]
