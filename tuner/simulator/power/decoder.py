"""The dimensions of a decoder that decide its arithmetic and memory traffic, read from a Hugging Face `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FLOAT32_BYTES = 4.0

HYBRID_LETTERS = {"mamba": "M", "attention": "*", "mlp": "-", "moe": "E"}

DENSE_PART_OF_ACTIVE = 0.4
"""Part of a MoE model's active weights outside its routed experts (Qwen3, gpt-oss, DeepSeek: 0.3-0.5)."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """The dimensions of a decoder that decide its work.

    `dense_params` counts every weight that each token passes, the output projection included, the input embedding
    not; `expert_params` all routed experts together. `kv_elements_per_token` is per attention layer; `score_width` is
    heads times head dimension (for MLA, heads times latent width), per attention layer. `state_bytes_per_sequence`
    is the recurrent state (Mamba, gated delta net) of all layers.
    """

    layers: int
    hidden: int
    dense_params: float
    expert_params: float = 0.0
    experts: int = 0
    experts_per_token: int = 0
    moe_layers: int = 0
    full_attention_layers: int = 0
    sliding_attention_layers: int = 0
    sliding_window: int = 0
    kv_heads: int = 8
    kv_elements_per_token: float = 0.0
    score_width: float = 0.0
    state_bytes_per_sequence: float = 0.0
    state_layers: int = 0

    @property
    def active_params(self) -> float:
        """Weights one token passes."""
        chosen = self.experts_per_token / self.experts if self.experts else 0.0
        return self.dense_params + chosen * self.expert_params


@dataclass(frozen=True, slots=True)
class _Config:
    """Typed look-ups in a `config.json`, nested text configurations opened."""

    fields: Mapping[str, object]

    def number(self, *names: str, default: float | None = None) -> float:
        for name in names:
            value = self.fields.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return float(value)
        if default is None:
            raise ValueError(f"config.json has none of {', '.join(names)}; give the model's own config.json")
        return default

    @property
    def hybrid_pattern(self) -> str | None:
        """Nemotron-H's layers in order: M recurrent, * attention, - dense feed-forward, E experts."""
        value = self.fields.get("hybrid_override_pattern")
        if isinstance(value, str):
            return value
        kinds = self.fields.get("layers_block_type")
        if not isinstance(kinds, list):
            return None
        return "".join(HYBRID_LETTERS.get(str(kind), "") for kind in kinds)

    @property
    def layers(self) -> int:
        pattern = self.hybrid_pattern
        return int(self.number("num_hidden_layers", default=len(pattern) if pattern else None))


@dataclass(frozen=True, slots=True)
class _LayerCounts:
    attention: int
    sliding: int
    recurrent: int
    dense_ffn: int
    moe: int


@dataclass(frozen=True, slots=True)
class _Attention:
    params: float
    kv_elements: float
    score_width: float
    kv_shards: int


@dataclass(frozen=True, slots=True)
class _Recurrent:
    params: float
    state_bytes: float


@dataclass(frozen=True, slots=True)
class _FeedForward:
    dense_params: float
    expert_params: float
    experts: int
    experts_per_token: int


def decoder_from_config(config: Mapping[str, object]) -> Decoder:
    """Shape of a model from its `config.json`: dense, MoE, MLA, sliding windows and recurrent hybrids.

    Raises `ValueError` naming the field that is missing.
    """
    text = config.get("text_config")
    fields = _Config(text if isinstance(text, Mapping) else config)
    counts = _layer_counts(fields)
    attention = _attention(fields)
    recurrent = _recurrent(fields, counts)
    ffn = _feed_forward(fields, counts)
    hidden = fields.number("hidden_size")
    dense = (
        attention.params * counts.attention
        + recurrent.params * counts.recurrent
        + ffn.dense_params
        + hidden * fields.number("vocab_size")
    )
    return Decoder(
        layers=fields.layers,
        hidden=int(hidden),
        dense_params=dense,
        expert_params=ffn.expert_params,
        experts=ffn.experts,
        experts_per_token=ffn.experts_per_token,
        moe_layers=counts.moe,
        full_attention_layers=counts.attention - counts.sliding,
        sliding_attention_layers=counts.sliding,
        sliding_window=int(fields.number("sliding_window", "attention_chunk_size", default=0.0)),
        kv_heads=attention.kv_shards,
        kv_elements_per_token=attention.kv_elements,
        score_width=attention.score_width,
        state_bytes_per_sequence=recurrent.state_bytes * counts.recurrent,
        state_layers=counts.recurrent,
    )


def decoder_from_size(total_params: float, active_params: float) -> Decoder:
    """A plausible shape where only the parameter counts are known (in parameters, not billions).

    Depth and width follow the Qwen3 and Llama 3 families: layers ~ 14.5 P^0.4 (P in billions, the geometric mean of
    total and active), hidden ~ 1900 A^0.33 (A active); eight key-value heads of 128 (MoE: four), 128 experts.
    """
    if not 0 < active_params <= total_params:
        raise ValueError(f"active parameters {active_params:g} must be above 0 and at most the total {total_params:g}")
    equivalent = (active_params * total_params) ** 0.5 / 1e9
    layers = max(12, round(14.5 * equivalent**0.4))
    hidden = round(1900 * (active_params / 1e9) ** 0.33 / 128) * 128
    attention_width = max(1024.0, float(hidden))
    shape = Decoder(
        layers=layers,
        hidden=hidden,
        dense_params=active_params,
        full_attention_layers=layers,
        kv_elements_per_token=2.0 * 8 * 128,
        score_width=attention_width,
    )
    if active_params > 0.95 * total_params:
        return shape
    experts = 128
    expert_params = total_params - DENSE_PART_OF_ACTIVE * active_params
    chosen = max(1, round(experts * (1.0 - DENSE_PART_OF_ACTIVE) * active_params / expert_params))
    return Decoder(
        layers=layers,
        hidden=hidden,
        dense_params=total_params - expert_params,
        expert_params=expert_params,
        experts=experts,
        experts_per_token=chosen,
        moe_layers=layers,
        full_attention_layers=layers,
        kv_heads=4,
        kv_elements_per_token=2.0 * 4 * 128,
        score_width=attention_width,
    )


def _layer_counts(fields: _Config) -> _LayerCounts:
    layers = fields.layers
    has_experts = fields.number("num_experts", "num_local_experts", "n_routed_experts", default=0.0) > 0
    pattern = fields.hybrid_pattern
    if pattern is not None:
        return _LayerCounts(pattern.count("*"), 0, pattern.count("M"), pattern.count("-"), pattern.count("E"))
    sliding, recurrent = _special_attention_layers(fields, layers)
    if not has_experts:
        return _LayerCounts(layers - recurrent, sliding, recurrent, layers, 0)
    step = int(fields.number("interleave_moe_layer_step", default=0.0))
    if step:
        moe = layers // step
        return _LayerCounts(layers - recurrent, sliding, recurrent, layers - moe, moe)
    if fields.fields.get("enable_moe_block") is True:  # Gemma 4: a dense block beside the experts in every layer
        return _LayerCounts(layers - recurrent, sliding, recurrent, layers, layers)
    first_dense = int(fields.number("first_k_dense_replace", default=0.0))
    return _LayerCounts(layers - recurrent, sliding, recurrent, first_dense, layers - first_dense)


def _special_attention_layers(fields: _Config, layers: int) -> tuple[int, int]:
    """Layers with a sliding window, and recurrent ones."""
    kinds = fields.fields.get("layer_types")
    if isinstance(kinds, list):
        sliding = sum("sliding" in str(kind) or "chunked" in str(kind) for kind in kinds)
        return sliding, sum("linear" in str(kind) for kind in kinds)
    interval = int(fields.number("full_attention_interval", default=0.0))
    if interval:
        return 0, layers - layers // interval
    every = int(fields.number("sliding_window_pattern", default=0.0))
    if every and fields.number("sliding_window", default=0.0):
        return layers - layers // every, 0
    return 0, 0


def _attention(fields: _Config) -> _Attention:
    hidden, heads = fields.number("hidden_size"), fields.number("num_attention_heads")
    latent = fields.number("kv_lora_rank", default=0.0)
    if not latent:
        kv_heads = fields.number("num_key_value_heads", default=heads)
        width = fields.number("head_dim", "attention_head_dim", default=hidden / heads)
        return _Attention(hidden * width * 2 * (heads + kv_heads), 2 * kv_heads * width, heads * width, int(kv_heads))
    rope, nope, value = (fields.number(name) for name in ("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"))
    q_latent = fields.number("q_lora_rank", default=0.0)
    query = q_latent * (hidden + heads * (nope + rope)) if q_latent else hidden * heads * (nope + rope)
    params = query + hidden * (latent + rope) + latent * heads * (nope + value) + heads * value * hidden
    return _Attention(params, latent + rope, heads * (latent + rope / 2), 1)


def _recurrent(fields: _Config, counts: _LayerCounts) -> _Recurrent:
    """Mamba 2 (Nemotron-H) or gated delta net (Qwen3-Next, Qwen3.5); the state is kept in float32."""
    if not counts.recurrent:
        return _Recurrent(0.0, 0.0)
    hidden = fields.number("hidden_size")
    if fields.hybrid_pattern is not None:
        heads, state = fields.number("mamba_num_heads"), fields.number("ssm_state_size")
        inner, groups = heads * fields.number("mamba_head_dim"), fields.number("n_groups", default=8.0)
        return _Recurrent(hidden * (3 * inner + 2 * groups * state + heads), FLOAT32_BYTES * inner * state)
    key_width = fields.number("linear_key_head_dim")
    key = fields.number("linear_num_key_heads") * key_width
    value = fields.number("linear_num_value_heads") * fields.number("linear_value_head_dim")
    return _Recurrent(hidden * (2 * key + 3 * value), FLOAT32_BYTES * value * key_width)


def _feed_forward(fields: _Config, counts: _LayerCounts) -> _FeedForward:
    hidden = fields.number("hidden_size")
    matrices = 2.0 if "relu2" in str(fields.fields.get("mlp_hidden_act", "")) else 3.0
    wide = fields.number("intermediate_size", default=4 * hidden)
    experts = int(fields.number("num_experts", "num_local_experts", "n_routed_experts", default=0.0))
    if not experts:
        return _FeedForward(matrices * hidden * wide * counts.dense_ffn, 0.0, 0, 0)
    narrow = fields.number("moe_intermediate_size", default=wide)
    shared = fields.number("moe_shared_expert_intermediate_size", "shared_expert_intermediate_size", default=0.0)
    shared = shared or narrow * fields.number("n_shared_experts", default=0.0)
    if "interleave_moe_layer_step" in fields.fields:  # Llama 4: one shared expert, wider dense layers between
        shared, wide = narrow, fields.number("intermediate_size_mlp", default=wide)
    dense = matrices * hidden * (wide * counts.dense_ffn + shared * counts.moe) + hidden * experts * counts.moe
    expert_width = fields.number(
        "moe_latent_size", default=hidden
    )  # Nemotron 3 Super and Ultra: experts in a latent space
    chosen = int(fields.number("num_experts_per_tok", "experts_per_token", "top_k_experts", default=1.0))
    return _FeedForward(dense, matrices * expert_width * narrow * experts * counts.moe, experts, chosen)
