"""Which checkpoint holds the asked weights: the model's own, one beside it, or one that has to be made.

A model directory may hold checkpoints of other precisions in folders named by them: `MODEL/fp8`, `MODEL/nvfp4`. What a
checkpoint holds is read from ModelOpt's `hf_quant_config.json`, or from `quantization_config` in its `config.json`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuner.engines.tensorrt_llm.installation import hub_folder
from tuner.errors import SpecError
from tuner.space.models import ModelShape, model_shape

QFORMATS: Final[Mapping[str, str]] = {
    "fp8": "fp8",
    "fp8_block": "fp8_pb_wo",
    "nvfp4": "nvfp4",
    "int4_awq": "int4_awq",
}
"""What `hf_ptq.py --qformat` calls each precision (Model Optimizer's `examples/llm_ptq`, looked up 2026-11)."""

_ALGORITHMS: Final[Mapping[str, str]] = {
    "FP8": "fp8",
    "FP8_PER_CHANNEL_PER_TOKEN": "fp8",
    "FP8_BLOCK_SCALES": "fp8_block",
    "FP8_PB_WO": "fp8_block",
    "NVFP4": "nvfp4",
    "MIXED_PRECISION": "nvfp4",
    "W4A16_AWQ": "int4_awq",
    "W8A16": "int8_wo",
    "W8A8_SQ_PER_CHANNEL": "sq",
}
_METHODS: Final[Mapping[str, str]] = {"mxfp4": "mxfp4", "awq": "int4_awq", "nvfp4": "nvfp4"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights of a precision: a folder, or the model's name where the hub has them; `kv_cache` is what it asks for.

    `must_be_made`: it is not there yet, and is made from `source` by quantisation.
    """

    source: Path | str
    weights: str
    kv_cache: str | None = None
    must_be_made: bool = False


def find_checkpoint(model: str, weights: str) -> Checkpoint:
    """The checkpoint of the asked precision, there or to be made.

    Raises `SpecError` when the model cannot be had in that precision at all.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return _named(model, weights)
    beside = folder / weights
    if (beside / "config.json").is_file():
        held, kv_cache = held_by(beside)
        if held != weights:
            raise SpecError.of("model", f"{beside} holds {held} weights, and its name says {weights}; rename it")
        return Checkpoint(beside.resolve(), weights, kv_cache)
    if not (folder / "config.json").is_file():
        others = sorted(path.parent.name for path in folder.glob("*/config.json"))
        raise SpecError.of("weights", f"{folder} holds no {weights} checkpoint; {_choices(others)}")
    held, kv_cache = held_by(folder)
    if held == weights:
        return Checkpoint(folder.resolve(), weights, kv_cache)
    return _to_be_made(folder.resolve(), held, weights)


def held_by(folder: Path) -> tuple[str, str | None]:
    """The precision of a checkpoint's weights, and of the KV cache it asks for; raises `SpecError` for a broken file."""
    section = _json(folder / "hf_quant_config.json").get("quantization")
    if not isinstance(section, Mapping):
        section = _json(folder / "config.json").get("quantization_config")
    if not isinstance(section, Mapping):
        return "bfloat16", None
    algorithm, method = str(section.get("quant_algo") or "").upper(), str(section.get("quant_method") or "").lower()
    kv_cache = section.get("kv_cache_quant_algo")
    asked = str(kv_cache).lower() if isinstance(kv_cache, str) else None
    if algorithm in _ALGORITHMS:
        return _ALGORITHMS[algorithm], asked
    if method == "fp8":
        return ("fp8_block" if section.get("weight_block_size") else "fp8"), asked
    return _METHODS.get(method, algorithm.lower() or method or "bfloat16"), asked


def identity(source: Path | str) -> str | None:
    """What tells a model of the hub from a later one of the same name: the commit that was fetched, if any was."""
    if isinstance(source, Path):
        return None
    reference = hub_folder(os.environ) / "hub" / f"models--{source.replace('/', '--')}" / "refs" / "main"
    try:
        return reference.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def shape_of(model: str) -> ModelShape | None:
    """The model's shape; `None` where its name is not known here, so that rules over it are left to the engine."""
    try:
        return model_shape(model)
    except SpecError:
        return None


def _named(model: str, weights: str) -> Checkpoint:
    shape = shape_of(model)
    held = shape.checkpoint_weights if shape is not None else "bfloat16"
    return Checkpoint(model, weights) if held == weights else _to_be_made(model, held, weights)


def _to_be_made(source: Path | str, held: str, weights: str) -> Checkpoint:
    if held != "bfloat16":
        raise SpecError.of(
            "weights", f"the checkpoint holds {held}, and {weights} cannot be made of it; name the plain checkpoint"
        )
    if weights not in QFORMATS:
        raise SpecError.of(
            "weights", f"nothing here makes {weights} weights; give a checkpoint of them, or {', '.join(QFORMATS)}"
        )
    return Checkpoint(source, weights, must_be_made=True)


def _choices(held: list[str]) -> str:
    return f"it has {', '.join(held)}" if held else "name a checkpoint directory with a config.json"


def _json(path: Path) -> Mapping[str, object]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SpecError.of("model", f"cannot read {path}: {error}; give the model's own file") from None
    return data if isinstance(data, Mapping) else {}
