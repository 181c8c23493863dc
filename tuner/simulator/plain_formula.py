"""The package's closed formula taken at its word: every step filled to `max_num_tokens`.

`closed_form.estimate` mends the formula where the engine schedules whole prompts. Measured tables that were made with
the formula itself follow this one, and so it is a second opinion for the measuring policy, never a result.
"""

from dataclasses import dataclass

from aiconfigurator_core.sdk import config

from tuner.configuration import Configuration
from tuner.simulator.kernel_data import KernelEngine, failures_named
from tuner.space.lengths import Lengths


@dataclass(frozen=True, slots=True)
class PlainEstimate:
    """Times in ms, output tokens per second and GPU, memory in GiB on the fullest GPU and what a GPU has."""

    ttft_ms: float
    tpot_ms: float
    output_tokens_per_second_per_gpu: float
    memory_gib: float
    capacity_gib: float
    out_of_memory: bool


def plain_estimate(engine: KernelEngine, configuration: Configuration, lengths: Lengths) -> PlainEstimate:
    """The formula's figures, also where they run out of memory; raises `UnsupportedError` where the data ends."""
    c = configuration
    batch = -(-c.concurrency // (c.data_parallel_ranks * c.pipeline_parallel))
    with failures_named():
        summary = engine.backend.run_agg(
            engine.model,
            engine.database,
            config.RuntimeConfig(isl=round(lengths.input_mean), osl=round(lengths.output_mean), batch_size=batch),
            ctx_tokens=c.max_num_tokens,
        )
    result = summary.get_result_dict()
    return PlainEstimate(
        ttft_ms=float(result["ttft"]),
        tpot_ms=float(result["tpot"]),
        output_tokens_per_second_per_gpu=float(result["tokens/s/gpu"]),
        memory_gib=float(summary.get_memory()["total"]),
        capacity_gib=engine.gpu_memory_bytes / 2.0**30,
        out_of_memory=bool(summary.check_oom() or summary.check_kv_cache_oom()),
    )
