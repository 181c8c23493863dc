"""What measurements add to a simulated latency: the host's time, and a learned correction, both shipped as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tuner.configuration import Configuration
from tuner.simulator.latency.correction import (
    NO_CORRECTION,
    Correction,
    Factors,
    Subject,
    model_key,
    read_correction,
)
from tuner.simulator.latency.host import NO_HOST, HostModel, read_hosts
from tuner.simulator.latency.limits import HostOverhead
from tuner.space.hardware import SIMULATOR_BACKENDS
from tuner.spec import Engine

HOST_FILE: Final = Path(__file__).with_name("host.json")
CORRECTION_FILE: Final = Path(__file__).with_name("correction.json")
_FAMILIES: Final = {"LLAMA": "dense", "GPT": "dense", "MOE": "moe"}
_PRECISIONS: Final = {"bfloat16": "bf16", "fp8_block": "fp8", "nvfp4": "fp4", "mxfp4": "fp4", "int4_awq": "int4"}
"""The words that the measured tables have for a precision of the weights."""


def kernel_family(model_family: str) -> str:
    """The family that host overheads and corrections were fitted by, of the kernel data's `model.model_family`."""
    if model_family.startswith(("DEEPSEEK", "KIMI")):
        return "mla_moe"
    return _FAMILIES.get(model_family, "hybrid")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Host overheads by the kernel data's name of the engine, and the learned correction."""

    hosts: Mapping[str, HostModel]
    correction: Correction

    def host(self, backend: str) -> HostModel:
        """The host model of an engine (trtllm, vllm, sglang); none at all for one never measured."""
        return self.hosts.get(backend, NO_HOST)

    def overhead(self, configuration: Configuration, family: str, layers: int) -> HostOverhead:
        """What the CPU adds to a configuration of a model; `family` by `kernel_family`."""
        backend = SIMULATOR_BACKENDS[Engine(configuration.engine)]
        return self.host(backend).overhead(family, configuration.gpu, layers)

    def factors(
        self, configuration: Configuration, model: str, family: str, input_tokens: float, output_tokens: float
    ) -> Factors:
        """Factors on the simulated TTFT and TPOT of a configuration; lengths are nominal means in tokens."""
        return self.correction.factors(subject_of(configuration, model, family, input_tokens, output_tokens))


NOT_CALIBRATED: Final = Calibration({}, NO_CORRECTION)
"""Switched off: what the kernels alone say."""


@cache
def shipped() -> Calibration:
    """The host overheads and the correction that come with the product (fitted by `benchmarks/fit_*.py`)."""
    return Calibration(read_hosts(HOST_FILE), read_correction(CORRECTION_FILE))


def subject_of(
    configuration: Configuration, model: str, family: str, input_tokens: float, output_tokens: float
) -> Subject:
    """A configuration as the correction sees it."""
    c = configuration
    ranks = c.data_parallel_ranks
    return Subject(
        engine=SIMULATOR_BACKENDS[Engine(c.engine)],
        system=c.gpu,
        precision=_PRECISIONS.get(c.weights, c.weights),
        family=family,
        model=model_key(model),
        tensor_parallel=c.tensor_parallel // ranks,
        expert_parallel=c.expert_parallel,
        attention_dp=ranks,
        requests=max(1, -(-c.concurrency // (c.pipeline_parallel * ranks))),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )


def corrected(
    metrics: Mapping[str, float], rate: float, factors: Factors, output_tokens: float, *, closed: bool
) -> tuple[dict[str, float], float]:
    """Simulated latencies (contract keys, ms) and output tokens/s after the correction.

    TTFT takes its factor, TPOT and ITL theirs; request latencies move by the same share as mean TTFT and mean TPOT
    together say, and in a closed loop throughput moves against them. Figures that are not there stay away.
    """
    before = metrics.get("ttft_mean_ms", 0.0) + metrics.get("tpot_mean_ms", 0.0) * max(output_tokens - 1, 0)
    after = metrics.get("ttft_mean_ms", 0.0) * factors.ttft
    after += metrics.get("tpot_mean_ms", 0.0) * factors.tpot * max(output_tokens - 1, 0)
    whole = after / before if before > 0 else 1.0
    by_latency = {"ttft": factors.ttft, "tpot": factors.tpot, "itl": factors.tpot, "request_latency": whole}
    found = dict(metrics)
    for name, factor in by_latency.items():
        for key in metrics:
            if key.startswith(f"{name}_") and key.endswith("_ms"):
                found[key] = metrics[key] * factor
    if not closed:
        return found, rate
    for key in ("requests_per_second", "goodput_requests_per_second"):
        if key in found:
            found[key] /= whole
    return found, rate / whole
