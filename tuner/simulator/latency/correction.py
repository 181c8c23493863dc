"""What measurements say about the simulator: a learned factor on TTFT and TPOT.

log(measured / simulated) is a sum of small terms: one for each group that a configuration belongs to (engine, GPU
generation, GPU, precision, model family, model, parallelism, and some of these together) and slopes along load and
lengths. Every term has a prior centred on "no correction", so a group never measured adds nothing and the wider groups
around it speak; along load the factor is a straight line in log2, so frontiers keep their shape.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tuner.simulator.latency.host import gpu_generation

LOAD_RANGE = (0.0, 9.0)
"""log2 of requests per rank between which the slopes were learned; beyond, the factor stays where it is."""
LENGTH_RANGE = (7.0, 13.0)
"""The same for log2 of prompt and output tokens."""


@dataclass(frozen=True)
class Subject:
    """What the correction needs to know of one configuration and its load.

    ``engine``: trtllm, vllm, sglang. ``family``: dense, moe, mla_moe, hybrid. ``model``: the architecture's own name.
    ``requests``: in flight per attention rank and pipeline lane.
    """

    engine: str
    system: str
    precision: str
    family: str
    model: str
    tensor_parallel: int
    expert_parallel: int
    attention_dp: int
    requests: float
    input_tokens: float
    output_tokens: float


@dataclass(frozen=True)
class Factors:
    """Factors on simulated TTFT and TPOT (1.0: no correction) and their standard deviations in log."""

    ttft: float = 1.0
    tpot: float = 1.0
    ttft_spread: float = 0.0
    tpot_spread: float = 0.0


_RELATIVES = (("DeepSeek-V3.2", "DeepSeek-V3.2"), ("DeepSeek-R1", "DeepSeek-R1"), ("DeepSeek-V3", "DeepSeek-R1"))
_SUFFIX = re.compile(r"(-NVFP4|-FP4|-FP8.*|-BF16|-MXFP4|-Instruct|-it|-0528|-2507|-v\d+)+$", re.IGNORECASE)


def model_key(name: str) -> str:
    """The name that a model's measurements are kept under: without owner, precision and tuning (``Qwen3-32B``)."""
    bare = name.rsplit("/", 1)[-1]
    for start, key in _RELATIVES:
        if bare.startswith(start):
            return key
    return _SUFFIX.sub("", bare).replace("Meta-Llama", "Llama").replace("Llama-3.3-70B", "Llama-3.1-70B")


def _clip(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])


def terms(subject: Subject) -> dict[str, float]:
    """Terms that the subject belongs to, by name, each with its value (1 for groups, centred log2 for slopes).

    The part of a name before ``=`` or ``~`` is its kind, which the prior's width belongs to.
    """
    s = subject
    load = _clip(math.log2(max(s.requests, 1.0)), LOAD_RANGE) - 4.5
    prompt = _clip(math.log2(max(s.input_tokens, 1.0)), LENGTH_RANGE) - 11.0
    output = _clip(math.log2(max(s.output_tokens, 1.0)), LENGTH_RANGE) - 10.0
    width = math.log2(max(s.tensor_parallel, 1)) - 2.0
    layout = "dp" if s.attention_dp > 1 else ("ep" if s.expert_parallel > 1 else "tp")
    generation = gpu_generation(s.system)
    home = f"{generation},{s.precision},{s.family}"
    groups = {
        "engine": s.engine,
        "generation": generation,
        "system": s.system,
        "precision": s.precision,
        "family": s.family,
        "model": s.model,
        "home": home,
        "system-home": f"{s.system},{s.precision},{s.family}",
        "system-model": f"{s.system},{s.precision},{s.model}",
        "layout": f"{s.family},{layout}",
        "layout-home": f"{home},{layout}",
        "width-model": f"{s.system},{s.precision},{s.model},tp{s.tensor_parallel},{layout}",
    }
    values = {f"{kind}={s.engine}/{name}": 1.0 for kind, name in groups.items()}
    for label, value in (("load", load), ("prompt", prompt), ("output", output), ("width", width)):
        values[f"{label}~{s.engine}"] = value
        values[f"{label}-family~{s.engine}/{s.family}"] = value
        values[f"{label}-home~{s.engine}/{home}"] = value
    values[f"load-layout~{s.engine}/{s.family},{layout}"] = load
    values[f"load-prompt~{s.engine}/{s.family}"] = load * prompt
    return values


@dataclass(frozen=True)
class Correction:
    """Coefficients by term for log TTFT and log TPOT, with the spread of what they leave over.

    ``source`` and ``date``: what they were fitted on and when.
    """

    ttft: Mapping[str, float]
    tpot: Mapping[str, float]
    ttft_spread: float
    tpot_spread: float
    source: str
    date: str

    def factors(self, subject: Subject) -> Factors:
        """Factors for one configuration; 1.0 where nothing is known of its engine."""
        values = terms(subject)
        return Factors(
            math.exp(sum(self.ttft.get(name, 0.0) * value for name, value in values.items())),
            math.exp(sum(self.tpot.get(name, 0.0) * value for name, value in values.items())),
            self.ttft_spread,
            self.tpot_spread,
        )


NO_CORRECTION = Correction({}, {}, 0.0, 0.0, "none", "")
"""Switched off: simulated figures stay as they are."""


def read_correction(path: Path) -> Correction:
    """The shipped coefficients; ValueError when the file is not of this module's making."""
    loaded = json.loads(path.read_text(encoding="utf-8"))
    if loaded.get("format") != "paretune-latency-correction-1":
        raise ValueError(f"{path} is not a latency correction: run benchmarks/fit_correction.py to make one")
    return Correction(
        loaded["ttft"], loaded["tpot"], loaded["ttft_spread"], loaded["tpot_spread"], loaded["source"], loaded["date"]
    )


def write_correction(correction: Correction, path: Path) -> None:
    """Store coefficients with four decimals; those that round to nothing are left out."""

    def kept(coefficients: Mapping[str, float]) -> dict[str, float]:
        return {name: round(value, 4) for name, value in sorted(coefficients.items()) if abs(value) >= 5e-5}

    stored = {
        "format": "paretune-latency-correction-1",
        "source": correction.source,
        "date": correction.date,
        "ttft_spread": round(correction.ttft_spread, 4),
        "tpot_spread": round(correction.tpot_spread, 4),
        "ttft": kept(correction.ttft),
        "tpot": kept(correction.tpot),
    }
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def design(rows: list[dict[str, float]], names: list[str]) -> npt.NDArray[np.float64]:
    """Matrix (rows x names) of term values, for fitting."""
    column = {name: i for i, name in enumerate(names)}
    matrix = np.zeros((len(rows), len(names)))
    for i, row in enumerate(rows):
        for name, value in row.items():
            if name in column:
                matrix[i, column[name]] = value
    return matrix
