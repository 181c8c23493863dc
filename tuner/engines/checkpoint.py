"""What a checkpoint directory says of its own precision."""

import json
from collections.abc import Mapping
from pathlib import Path


def is_quantised(model: str) -> bool | None:
    """Whether a checkpoint directory holds quantised weights; `None` for a name, whose files are not at hand."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return None
    if (folder / "hf_quant_config.json").is_file():
        return True
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return isinstance(config, Mapping) and bool(config.get("quantization_config"))


def illegal_weights(model: str, weights: str) -> str | None:
    """Why vLLM or SGLang would not serve the model in that precision, with the mend.

    Both quantise a plain checkpoint to FP8 as they load it; every other precision is the checkpoint's own.
    """
    quantised = is_quantised(model)
    if weights == "bfloat16":
        return "the checkpoint is quantised; weights bfloat16 needs the plain one" if quantised else None
    if weights == "fp8" or quantised:
        return None
    return (
        f"weights {weights} needs a checkpoint directory that holds them; name it as the model, or use bfloat16 or fp8"
    )


def online_fp8(model: str, weights: str) -> bool:
    """Whether the engine is to quantise the weights as it loads them."""
    return weights == "fp8" and not is_quantised(model)
