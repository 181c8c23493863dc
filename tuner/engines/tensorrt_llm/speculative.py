"""Speculative decoding and sparse attention: one model per algorithm, told apart by a tag."""

from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, Field

from tuner.engines.tensorrt_llm.kv_cache import NonNegativeInt, PositiveInt
from tuner.engines.tensorrt_llm.strict import Arguments


class SpeculativeBase(Arguments):
    """What every algorithm has: draft lengths in tokens, the draft model, and when speculation is switched off.

    The class flags say what an algorithm cannot do without, and whether the `pytorch` backend runs it.
    """

    needs_draft_length: ClassVar[bool] = False
    needs_draft_model: ClassVar[bool] = False
    runs_on_pytorch: ClassVar[bool] = True

    decoding_type: str
    max_draft_len: NonNegativeInt | None = None
    max_total_draft_tokens: NonNegativeInt | None = None
    speculative_model: str | None = Field(
        default=None, validation_alias=AliasChoices("speculative_model", "speculative_model_dir")
    )
    max_concurrency: NonNegativeInt | None = None
    draft_len_schedule: dict[PositiveInt, NonNegativeInt] | None = None
    load_format: str | None = None
    acceptance_window: NonNegativeInt | None = None
    acceptance_length_threshold: Annotated[float, Field(ge=0)] | None = None
    allow_advanced_sampling: bool = False


class MtpConfig(SpeculativeBase):
    """Multi-token prediction with the model's own extra layers."""

    decoding_type: Literal["MTP"]
    num_nextn_predict_layers: PositiveInt = 1
    use_relaxed_acceptance_for_thinking: bool = False
    relaxed_topk: PositiveInt = 1
    relaxed_delta: Annotated[float, Field(ge=0)] = 0.0
    use_mtp_vanilla: bool = False
    mtp_eagle_one_model: bool = True
    begin_thinking_phase_token: int = 128798
    end_thinking_phase_token: int = 128799


class EagleConfig(SpeculativeBase):
    """EAGLE: a small draft model over the hidden states of the large one."""

    needs_draft_length: ClassVar[bool] = True
    needs_draft_model: ClassVar[bool] = True

    decoding_type: Literal["Eagle", "Eagle3"]
    eagle_choices: list[list[NonNegativeInt]] | None = None
    greedy_sampling: bool | None = True
    posterior_threshold: float | None = None
    use_dynamic_tree: bool | None = False
    dynamic_tree_max_topK: PositiveInt | None = None  # noqa: N815 - the engine's own spelling
    num_eagle_layers: PositiveInt | None = None
    max_non_leaves_per_layer: PositiveInt | None = None
    eagle3_one_model: bool | None = True
    eagle3_layers_to_capture: list[int] | None = None
    eagle3_model_arch: Literal["llama3", "mistral_large3"] = "llama3"


class NGramConfig(SpeculativeBase):
    """Drafts looked up in the text so far; no draft model."""

    needs_draft_length: ClassVar[bool] = True

    decoding_type: Literal["NGram"]
    max_matching_ngram_size: PositiveInt = 2
    is_keep_all: bool = True
    is_use_oldest: bool = True
    is_public_pool: bool = True


class DraftTargetConfig(SpeculativeBase):
    """A small model drafts for a large one."""

    needs_draft_length: ClassVar[bool] = True
    needs_draft_model: ClassVar[bool] = True

    decoding_type: Literal["Draft_Target"]


class SaveHiddenStatesConfig(SpeculativeBase):
    """Writes hidden states to train an EAGLE3 draft model; no speculation."""

    decoding_type: Literal["SaveState"]
    output_directory: str
    write_interval: PositiveInt = 20
    file_prefix: str = "data"
    eagle3_layers_to_capture: Annotated[list[int], Field(min_length=1)] | None = None


class AutoConfig(SpeculativeBase):
    """The engine chooses an algorithm that needs no draft model."""

    decoding_type: Literal["AUTO"]


class MedusaConfig(SpeculativeBase):
    """Medusa heads (TensorRT backend)."""

    runs_on_pytorch: ClassVar[bool] = False

    decoding_type: Literal["Medusa"]
    medusa_choices: list[list[NonNegativeInt]] | None = None
    num_medusa_heads: PositiveInt | None = None


class LookaheadConfig(SpeculativeBase):
    """Lookahead decoding (TensorRT backend)."""

    runs_on_pytorch: ClassVar[bool] = False

    decoding_type: Literal["Lookahead"]
    max_window_size: PositiveInt = 4
    max_ngram_size: PositiveInt = 3
    max_verification_set_size: PositiveInt = 4


SpeculativeConfig = Annotated[
    MtpConfig
    | EagleConfig
    | NGramConfig
    | DraftTargetConfig
    | SaveHiddenStatesConfig
    | AutoConfig
    | MedusaConfig
    | LookaheadConfig,
    Field(discriminator="decoding_type"),
]


class RocketAttention(Arguments):
    """RocketKV sparse attention."""

    algorithm: Literal["rocket"]
    seq_len_threshold: PositiveInt | None = None
    window_size: PositiveInt | None = 32
    kernel_size: PositiveInt | None = 63
    topr: float | None = 128
    topk: PositiveInt | None = 64
    prompt_budget: PositiveInt | None = 2048
    page_size: PositiveInt | None = 4
    kt_cache_dtype: Literal["bfloat16", "float8_e5m2"] | None = "float8_e5m2"


class DeepSeekAttention(Arguments):
    """DeepSeek's sparse attention."""

    algorithm: Literal["dsa"]
    seq_len_threshold: PositiveInt | None = None
    index_n_heads: PositiveInt | None = None
    index_head_dim: PositiveInt | None = None
    index_topk: PositiveInt | None = None
    indexer_max_chunk_size: PositiveInt | None = None
    skip_indexer_for_short_seqs: bool = True


class SkipSoftmaxAttention(Arguments):
    """Attention that skips blocks with little weight."""

    algorithm: Literal["skip_softmax"]
    seq_len_threshold: PositiveInt | None = None
    threshold_scale_factor: float | dict[Literal["prefill", "decode"], float] | None = None


SparseAttentionConfig = Annotated[
    RocketAttention | DeepSeekAttention | SkipSoftmaxAttention, Field(discriminator="algorithm")
]
