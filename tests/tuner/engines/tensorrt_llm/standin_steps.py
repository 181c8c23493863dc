"""How long the stand-in's steps last: the scheduling simulator's own step times; test equipment.

They are read from kernel data, which takes seconds, and kept in a folder, so that the next start takes none of them.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tuner.configuration import Configuration
from tuner.simulator.latency.limits import HostOverhead
from tuner.simulator.latency.steps import StepTimes

if TYPE_CHECKING:
    from tuner.simulator.kernel_data import KernelData

MOST_REQUESTS: Final = 1024
"""Decoding requests that the table reaches; beyond them it is prolonged."""
_STORED: Final = tuple(field.name for field in fields(StepTimes) if field.repr)


@dataclass(frozen=True)
class Steps:
    """Step times of one attention rank, and what the CPU adds to them (ms)."""

    times: StepTimes
    host: HostOverhead


def configuration_of(data: Mapping[str, Any], weights: str, gpu: str) -> Configuration:
    """The configuration that a YAML file's content means, as far as its step times go."""
    tensor_parallel = data.get("tensor_parallel_size", 1)
    attention_dp = bool(data.get("enable_attention_dp", False))
    ceiling = min(data.get("max_batch_size", 2048), MOST_REQUESTS)
    ranks = tensor_parallel if attention_dp else 1
    pipeline_parallel = data.get("pipeline_parallel_size", 1)
    return Configuration(
        "tensorrt-llm",
        gpu,
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        expert_parallel=data.get("moe_expert_parallel_size") or 1,
        attention_dp=attention_dp,
        weights=weights,
        kv_cache="fp8" if (data.get("kv_cache_config") or {}).get("dtype") == "fp8" else "bfloat16",
        max_batch_size=ceiling,
        max_num_tokens=data.get("max_num_tokens", 8192),
        concurrency=ceiling * ranks * pipeline_parallel,
    )


def steps_of(
    model: str,
    configuration: Configuration,
    prompt_tokens: int,
    longest: int,
    folder: Path | None = None,
    kernels: "KernelData | None" = None,
) -> Steps:
    """The steps of a model (a name, or a checkpoint directory) whose sequences have at most `longest` tokens.

    Kept in `folder`; asked of `kernels`, which are loaded where they are not given. Raises `SystemExit` where the kernel data has none.
    """
    if folder is None:
        return _asked(model, configuration, prompt_tokens, longest, kernels)
    key = json.dumps([model, configuration.to_dict(), prompt_tokens, longest], sort_keys=True)
    kept = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    if not kept.is_file():
        fresh = kept.with_suffix(f".{os.getpid()}")
        found = _asked(model, configuration, prompt_tokens, longest, kernels)
        times = {name: getattr(found.times, name) for name in _STORED}
        fresh.write_text(json.dumps({"times": times, "host": asdict(found.host)}))
        fresh.replace(kept)
    data = json.loads(kept.read_text())
    times = {name: _tuples(value) for name, value in data["times"].items()}
    return Steps(StepTimes(**times), HostOverhead(**data["host"]))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def _asked(
    model: str, configuration: Configuration, prompt_tokens: int, longest: int, kernels: "KernelData | None"
) -> Steps:
    """Asks the kernel data; its import alone takes seconds."""
    from tuner.errors import SpecError
    from tuner.simulator.distribution import step_times
    from tuner.simulator.kernel_data import KernelData, UnsupportedError
    from tuner.simulator.latency.calibration import kernel_family, shipped
    from tuner.space.lengths import Lengths
    from tuner.space.models import model_shape

    try:
        shape = model_shape(model)
        engine = (kernels or KernelData()).engine(configuration, shape)
        lengths = Lengths(prompt_tokens, prompt_tokens, longest - prompt_tokens, longest - prompt_tokens)
        times = step_times(engine, configuration, lengths)
    except (SpecError, UnsupportedError) as error:
        raise SystemExit(f"the stand-in cannot time {model}: {error}") from error
    family = kernel_family(engine.model.model_family)
    return Steps(times, shipped().overhead(configuration, family, shape.layers))
