"""Measured power and energy in the columns of ML.ENERGY's tables (`data/mlenergy_v3_h100_chat.csv`), read.

Inputs of a row: task, model, GPU, parallelism, precision, batch (`avg_batch_size`, else `max_num_seqs`) and
`avg_output_len`. Its throughput, power, energy and latencies are never read to predict it. `avg_power_watts` is the sum
over all the GPUs of a row and `energy_per_token_joules` that sum over output tokens per second (all 165 H100 rows hold
to it), so watts are divided by `num_gpus` here and joules are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tuner.simulator.fidelity.cells import BrokenCellError, Row, count, measured, number, positive, text
from tuner.simulator.fidelity.figures import Figures
from tuner.simulator.fidelity.names import bare_names, find_model
from tuner.simulator.power.decoder import Decoder, decoder_from_config, decoder_from_size
from tuner.simulator.power.table import PowerTable
from tuner.simulator.power.work import BYTES_PER_WEIGHT, Layout, Load, steady_load
from tuner.space.hardware import read_yaml
from tuner.space.models import raw_config

HEADER: Final = frozenset({"model_id", "gpu_model"})
"""Columns that tell a table of power and energy."""

SIZE_TOLERANCE: Final = 1.4
"""By how much a shape's weights may differ from a row's parameter count (embeddings, towers for images)."""

_BLOCK_SCALED_OWNERS: Final = ("Qwen/", "deepseek-ai/", "zai-org/", "MiniMaxAI/", "moonshotai/")
"""Publishers whose FP8 checkpoints have 128x128 block scales (their config.json: `weight_block_size`)."""

_PRECISIONS: Final = {
    "bf16": "bfloat16",
    "float16": "bfloat16",
    "fp16": "bfloat16",
    "auto": "bfloat16",
    "fp4": "nvfp4",
    "float8": "fp8",
    "fp8_e4m3": "fp8",
    "int4": "int4_awq",
    "awq": "int4_awq",
}
_GPUS: Final = {
    "A100": "a100_sxm",
    "H100": "h100_sxm",
    "H200": "h200_sxm",
    "B200": "b200_sxm",
    "B300": "b300_sxm",
    "GB200": "gb200",
    "GB300": "gb300",
    "L4": "l4",
    "L40S": "l40s",
    "A30": "a30",
}


@dataclass(frozen=True, slots=True)
class EnergyPoint:
    """One engine under steady load, and what was measured of it."""

    model: str
    gpu: str
    precision: str
    task: str
    shape: Decoder
    load: Load
    layout: Layout
    measured: Figures

    @property
    def step_seconds(self) -> float | None:
        """The measured length of the mean step: sequences in flight over tokens a second."""
        rate = self.measured.output_tokens_per_second_per_gpu
        return None if rate is None else self.load.decode_sequences / (rate * self.layout.gpus)


def parse_energy_point(row: Row, table: PowerTable) -> EnergyPoint:
    """One row of the table; raises `BrokenCellError` naming the column that cannot be read."""
    model, gpus = text(row, "model_id"), count(row, "num_gpus", count(row, "tensor_parallel", 1))
    task, precision = text(row, "task", ""), _precision(model, row)
    prompt = table.prompt_tokens.get(task, table.default_prompt_tokens)
    output = number(row, "avg_output_len", 0.0) or _output_tokens().get(task, _output_tokens()["default"])
    batch = number(row, "avg_batch_size", 0.0) or positive(row, "max_num_seqs")
    layout = Layout(
        gpus=gpus,
        attention_dp=count(row, "data_parallel", 1) > 1,
        expert_parallel=count(row, "expert_parallel", 1) > 1,
        weights="bfloat16" if precision == "mxfp4" else precision,  # gpt-oss: only the experts are in four bits
        expert_weights=precision,
    )
    for column, value in (("avg_output_len", output), ("avg_batch_size", batch)):
        if value <= 0:
            raise BrokenCellError(column, f"must be above 0, not {value:g}")
    load = steady_load(batch, prompt, output)
    gpu = _gpu(text(row, "gpu_model"), table)
    return EnergyPoint(model, gpu, precision, task, _shape(model, row), load, layout, _measured(row, gpus))


def _measured(row: Row, gpus: int) -> Figures:
    watts = measured(row, "avg_power_watts")
    rate = measured(row, "output_throughput_tokens_per_sec")
    return Figures(
        output_tokens_per_second_per_gpu=None if rate is None else rate / gpus,
        power_watts_per_gpu=None if watts is None else watts / gpus,
        energy_joules_per_output_token=measured(row, "energy_per_token_joules"),
    )


def _gpu(name: str, table: PowerTable) -> str:
    """The GPU that a name means: `H100`, `NVIDIA H100 80GB HBM3`, `h100_sxm`."""
    if name.lower() in table.gpus:
        return name.lower()
    words = name.upper().replace("NVIDIA", "").replace("-", " ").replace("_", " ").split()
    found = next((_GPUS[word] for word in words if word in _GPUS), None)
    if found is None:
        raise BrokenCellError("gpu_model", f"{name!r} is not known; known: {', '.join(_GPUS)}")
    return f"{found.removesuffix('_sxm')}_pcie" if "PCIE" in words and found in ("a100_sxm", "h100_sxm") else found


def _shape(model: str, row: Row) -> Decoder:
    """The model's own shape, unless unknown or far from the row's parameter count (pruned per layer): then by size."""
    known = _known_shape(model)
    if known is not None:
        counted = (known.dense_params + known.expert_params) / 1e9
        stated = number(row, "total_params_billions", counted)
        if 1.0 / SIZE_TOLERANCE < stated / counted < SIZE_TOLERANCE:
            return known
    total = number(row, "total_params_billions", 0.0)
    if total <= 0:
        raise BrokenCellError("model_id", f"{model!r} is not known here; give total_params_billions to go by its size")
    active = number(row, "activated_params_billions", total) or total
    if active > total:
        raise BrokenCellError("activated_params_billions", f"is {active:g}, above the {total:g} in all")
    return decoder_from_size(total * 1e9, active * 1e9)


@cache
def _known_shape(model: str) -> Decoder | None:
    data = _shapes_file()
    shapes: Mapping[str, Mapping[str, object]] = {bare_names(name)[-1]: shape for name, shape in data["shapes"].items()}
    aliases: Mapping[str, str] = data["aliases"]
    bare = bare_names(model)[-1]
    if bare in shapes:
        return decoder_from_config(shapes[bare])
    found = find_model(aliases.get(model, model))
    if found is None:
        return None
    try:
        return decoder_from_config(raw_config(found))
    except ValueError:
        return None  # an architecture that the power model cannot count: its size speaks


@cache
def _shapes_file() -> dict[str, Any]:
    return read_yaml(Path(__file__).with_name("energy_shapes.yaml"))


@cache
def _output_tokens() -> dict[str, float]:
    return {task: float(tokens) for task, tokens in _shapes_file()["output_tokens"].items()}


def _precision(model: str, row: Row) -> str:
    """The precision of the (expert) weights in the power model's words."""
    stated = text(row, "weight_precision", "bfloat16").lower().removeprefix("torch.")
    precision = _PRECISIONS.get(stated, stated)
    if "gpt-oss" in model.lower():
        return "mxfp4"
    if precision == "fp8" and model.startswith(_BLOCK_SCALED_OWNERS):
        return "fp8_block"
    if precision not in BYTES_PER_WEIGHT:
        raise BrokenCellError("weight_precision", f"{stated!r} is not known; known: {', '.join(BYTES_PER_WEIGHT)}")
    return precision
