"""Words of the tests of jobs on scripted GPUs, with TensorRT-LLM's stand-in as the engine."""

import json
import sys
from itertools import pairwise
from pathlib import Path

from tests.tuner.engines.tensorrt_llm.conftest import INSTALLATION
from tests.tuner.engines.tensorrt_llm.standin_faults import VARIABLE
from tests.tuner.power.scripted import Machine, ScriptedGpu
from tuner.configuration import Configuration
from tuner.evaluators.source import Workshop
from tuner.spec import JobSpec, parse_spec

SPEED = 0.1
"""Slow enough for a client that shares two cores with several stand-ins."""
ROW = Configuration(
    "tensorrt-llm", "h100_sxm", max_batch_size=8, max_num_tokens=2048, chunked_prefill=True, concurrency=2
)


def orders(steps_folder: Path, *faults: dict[str, object], **changes: object) -> tuple[str, str]:
    """The variable that tells the stand-in what to do, and its value."""
    return VARIABLE, json.dumps({"speed": SPEED, "steps_folder": str(steps_folder), **changes, "faults": faults})


def job(**changes: object) -> JobSpec:
    """A short job on GPUs that wants energy."""
    plain: dict[str, object] = {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "engine": "tensorrt-llm",
        "hardware": {"gpu": "h100_sxm", "gpus": 4},
        "workload": {"input_tokens": 64, "output_tokens": 8},
        "evaluator": "measure",
        "measuring": {"seconds": 5, "precision": 0.5, "repeats": 1},
    }
    return parse_spec({**plain, **changes})


def workshop(folder: Path, *, allow_power_control: bool = False) -> Workshop:
    """Where the stand-in is, and a data directory."""
    return Workshop(
        folder / "data",
        folder / "data" / "measurements" / "job",
        INSTALLATION,
        allow_power_control=allow_power_control,
    )


def uses(gpu: ScriptedGpu) -> list[tuple[float, float]]:
    """From when to when servers ran on a GPU, in order; one that did not end lasts for ever."""
    path = gpu.folder / "uses"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    ended = {pid: float(moment) for what, moment, pid in lines if what == "ended"}
    return sorted((float(moment), ended.get(pid, sys.float_info.max)) for what, moment, pid in lines if what == "began")


def was_shared(machine: Machine) -> bool:
    """Whether two servers ever ran on one GPU at the same time."""
    return any(first[1] > second[0] for gpu in machine.gpus for first, second in pairwise(uses(gpu)))


def most_at_once(machine: Machine) -> int:
    """The most GPUs that were in use at the same time."""
    spans = [span for gpu in machine.gpus for span in uses(gpu)]
    return max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)
