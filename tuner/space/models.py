"""Models that can be simulated: their shapes, by name, by alias or from a checkpoint directory.

Shapes come from the `config.json` files in the `aiconfigurator-core` wheel, from those in `checkpoints/` here
(well-known models that the wheel lacks, as each model's card on the Hugging Face hub has them, 2026-11), or from the
user's own checkpoint directory. `model_aliases.yaml` maps usual names to those with the same shape.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tuner.errors import SpecError
from tuner.space.hardware import kernel_data_directory, read_yaml
from tuner.spec_problems import near

ARCHITECTURES: Final = {
    "LlamaForCausalLM": "dense",
    "Qwen2ForCausalLM": "dense",
    "Qwen3ForCausalLM": "dense",
    "Qwen3VLForConditionalGeneration": "dense",
    "Qwen3VLMoeForConditionalGeneration": "moe",
    "MiMoForCausalLM": "dense",
    "DeepSeekForCausalLM": "mla_moe",
    "DeepseekV3ForCausalLM": "mla_moe",
    "DeepseekV32ForCausalLM": "mla_moe",
    "GlmMoeDsaForCausalLM": "mla_moe",
    "DeepseekV4ForCausalLM": "mla_moe",
    "KimiK25ForConditionalGeneration": "mla_moe",
    "KimiK3ForConditionalGeneration": "mla_moe",
    "NemotronForCausalLM": "dense",
    "DeciLMForCausalLM": "dense",
    "NemotronHForCausalLM": "hybrid",
    "MixtralForCausalLM": "moe",
    "GptOssForCausalLM": "moe",
    "Qwen2MoeForCausalLM": "moe",
    "Qwen3MoeForCausalLM": "moe",
    "MiniMaxM2ForCausalLM": "moe",
    "MiniMaxM3ForCausalLM": "moe",
    "MiniMaxM3SparseForConditionalGeneration": "moe",
    "Step3p7ForConditionalGeneration": "moe",
    "Step3p5ForCausalLM": "moe",
    "Step3p7FlashForCausalLM": "moe",
    "Step3p5FlashForCausalLM": "moe",
    "MiMoV2FlashForCausalLM": "moe",
    "Llama4ForConditionalGeneration": "moe",
    "Qwen3_5ForConditionalGeneration": "dense",
    "Qwen3_5MoeForConditionalGeneration": "moe",
    "Gemma4ForConditionalGeneration": "moe",
}
"""Architectures that the simulator knows (a test holds the list against it), with the family of each."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What the search needs to know of a model; counts, and the context length in tokens.

    `simulator_name` is what the simulator loads: a bundled name or a directory with `config.json`.
    `checkpoint_weights` is the precision that the checkpoint itself holds.
    """

    name: str
    simulator_name: str
    architecture: str
    family: str
    layers: int
    hidden_size: int
    attention_heads: int
    kv_heads: int
    experts: int
    experts_per_token: int
    expert_intermediate_size: int
    context_tokens: int
    checkpoint_weights: str

    @property
    def is_moe(self) -> bool:
        """Whether the model routes tokens to experts."""
        return self.experts > 1


@cache
def known_models() -> tuple[str, ...]:
    """Every model name that works with no network, aliases included."""
    return tuple(sorted({*bundled_configs(), *_own_checkpoints(), *_aliases()}))


@cache
def model_shape(name: str) -> ModelShape:
    """The shape of a model by name, alias or checkpoint directory.

    Raises `SpecError` naming near matches, or what the checkpoint directory lacks.
    """
    directory = Path(name).expanduser()
    if directory.is_dir():
        return _checkpoint_shape(name, directory.resolve())
    folded = {known.lower(): known for known in known_models()}
    known = folded.get(name.strip().lower())
    if known is None:
        raise SpecError.of("model", _unknown(name))
    target = _aliases().get(known, known)
    own = _own_checkpoints().get(target)
    if own is not None:
        return _checkpoint_shape(known, own)
    config = bundled_configs()[target]
    return _shape(
        known, target, _read_json(config), _quantisation(config, config.name.replace("_config", "_hf_quant_config"))
    )


def raw_config(model: ModelShape) -> Mapping[str, Any]:
    """The `config.json` of a model; raises `SpecError` when a checkpoint directory no longer holds it."""
    bundled = bundled_configs().get(model.simulator_name)
    return _read_json(bundled or Path(model.simulator_name) / "config.json")


@cache
def bundled_configs() -> dict[str, Path]:
    """The `config.json` files in the kernel data's package, by model name."""
    suffix = "_config.json"
    folder = kernel_data_directory() / "model_configs"
    return {
        path.name.removesuffix(suffix).replace("--", "/", 1): path
        for path in folder.glob(f"*{suffix}")
        if not path.name.endswith("_hf_quant" + suffix)
    }


def _unknown(name: str) -> str:
    names = {known.split("/")[-1]: known for known in known_models()}
    hint = near(name.rsplit("/", maxsplit=1)[-1], names)
    for short in sorted(names, key=len, reverse=True):
        hint = hint.replace(short, names[short]) if f" {short}" in hint and hint.startswith("did") else hint
    if not hint.startswith("did"):
        hint = "list the known ones with `GET /v1/models`"
    return f"{name!r} is not known here; {hint} A directory with the model's config.json works too"


@cache
def _aliases() -> dict[str, str]:
    aliases: dict[str, str] = read_yaml(Path(__file__).with_name("model_aliases.yaml"))["aliases"]
    return aliases


@cache
def _own_checkpoints() -> dict[str, Path]:
    folder = Path(__file__).with_name("checkpoints")
    return {path.parent.name.replace("--", "/", 1): path.parent for path in folder.glob("*/config.json")}


def _quantisation(config: Path, file_name: str) -> Mapping[str, Any]:
    """What ModelOpt's file beside a `config.json` says of the precision; empty without one."""
    path = config.with_name(file_name)
    section = _read_json(path).get("quantization") if path.is_file() else None
    return section if isinstance(section, dict) else {}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError.of("model", f"{path.parent} holds no {path.name}; name a checkpoint directory") from None
    except (OSError, ValueError) as error:
        raise SpecError.of("model", f"cannot read {path}: {error}; give the model's own file") from None
    if not isinstance(data, dict):
        raise SpecError.of("model", f"{path} holds no JSON object; give the model's own file")
    return data


def _checkpoint_shape(name: str, directory: Path) -> ModelShape:
    config = directory / "config.json"
    return _shape(name, str(directory), _read_json(config), _quantisation(config, "hf_quant_config.json"))


def _shape(name: str, simulator_name: str, config: Mapping[str, Any], quantisation: Mapping[str, Any]) -> ModelShape:
    architecture = _architecture(name, config)
    text = {**config, **config["text_config"]} if isinstance(config.get("text_config"), dict) else dict(config)
    heads = _count(name, text, "num_attention_heads")
    experts = _first(name, text, "num_local_experts", "n_routed_experts", "moe_num_experts", "num_experts")
    pattern = text.get("layers_block_type") or text.get("hybrid_override_pattern") or ""
    return ModelShape(
        name=name,
        simulator_name=simulator_name,
        architecture=architecture,
        family=ARCHITECTURES[architecture],
        layers=len(pattern)
        if pattern and not text.get("num_hidden_layers")
        else _count(name, text, "num_hidden_layers"),
        hidden_size=_count(name, text, "hidden_size"),
        attention_heads=heads,
        kv_heads=_first(name, text, "num_key_value_heads") or heads,
        experts=experts,
        experts_per_token=_first(
            name, text, "num_experts_per_tok", "num_experts_per_token", "top_k_experts", "moe_top_k"
        ),
        expert_intermediate_size=_first(name, text, "moe_intermediate_size", "intermediate_size") if experts else 0,
        context_tokens=_count(name, text, "max_position_embeddings"),
        checkpoint_weights=_checkpoint_weights(name, text, quantisation),
    )


def _architecture(name: str, config: Mapping[str, Any]) -> str:
    listed = config.get("architectures")
    architecture = str(listed[0]) if isinstance(listed, list) and listed else "none"
    if architecture not in ARCHITECTURES:
        hint = near(architecture, ARCHITECTURES)
        raise SpecError.of("model", f"architecture {architecture} of {name} is not supported; {hint}")
    return architecture


def _first(name: str, config: Mapping[str, Any], *keys: str) -> int:
    """The first of these counts that is there; 0 without any."""
    return next((_count(name, config, key) for key in keys if config.get(key)), 0)


def _count(name: str, config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SpecError.of("model", f"{key} in the config.json of {name} is {value!r}; give a whole number above 0")
    return value


def _checkpoint_weights(name: str, config: Mapping[str, Any], file: Mapping[str, Any]) -> str:
    """The precision named by a checkpoint's quantisation section, in the words of the public contract."""
    section = config.get("quantization_config") or {}
    if not isinstance(section, dict):
        raise SpecError.of(
            "model", f"quantization_config in the config.json of {name} is no mapping; mend or remove it"
        )
    algorithm = str(file.get("quant_algo") or section.get("quant_algo") or "").upper()
    method = str(section.get("quant_method") or "").lower()
    if "NVFP4" in algorithm or algorithm == "MIXED_PRECISION":
        return "nvfp4"
    if algorithm == "FP8":
        return "fp8"
    if method == "mxfp4":
        return "mxfp4"
    if method == "fp8":
        return "fp8_block" if section.get("weight_block_size") else "fp8"
    return "int4_awq" if method == "compressed-tensors" else "bfloat16"
