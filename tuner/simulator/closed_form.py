"""Mean latencies, throughput and memory of a configuration by the package's closed formula.

The formula (`run_agg`) mixes the time of one step that prefills and one that only decodes; it knows means alone. It
ranks the whole space; the distributions come from the scheduling simulation.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiconfigurator_core.sdk import config

from tuner.configuration import Configuration
from tuner.simulator.kernel_data import KernelEngine, failures_named
from tuner.simulator.latency.calibration import kernel_family
from tuner.space.lengths import Lengths
from tuner.trial import Failure, FailureKind

GIB = 2.0**30
KV_CACHE_FRACTION = 0.9
"""Share of the free memory that the engine gives its KV cache (TensorRT-LLM's default, its LLM arguments, 1.2)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Closed-form figures of one replica: times in ms, rates per second, memory in GiB on the fullest GPU.

    `kv_tokens`: tokens that the KV cache of one attention rank holds. `family`: the model's, as calibrations know it.
    `measured_share`: share of the step time that
    rests on measured kernels; the rest are kernels that the package prices by their bytes and operations.
    """

    ttft_ms: float
    tpot_ms: float
    request_latency_ms: float
    output_tokens_per_second: float
    memory_gib: float
    kv_tokens: int
    family: str
    measured_share: float
    failure: Failure | None

    def slowed(self, prefill: float, decode: float, *, closed: bool) -> "Estimate":
        """The figures with prefill and decode steps longer by these factors; a closed loop's rate falls with them."""
        latency = self.ttft_ms * prefill + (self.request_latency_ms - self.ttft_ms) * decode
        pace = self.request_latency_ms / latency if closed and latency > 0 else 1.0
        return replace(
            self,
            ttft_ms=self.ttft_ms * prefill,
            tpot_ms=self.tpot_ms * decode,
            request_latency_ms=latency,
            output_tokens_per_second=self.output_tokens_per_second * pace,
        )


def estimate(engine: KernelEngine, configuration: Configuration, lengths: Lengths) -> Estimate:
    """The closed-form figures of a configuration at its concurrency.

    Raises `UnsupportedError` where the kernel data ends. Running out of memory is a failure in the result: the
    formula itself goes on computing, so both of its flags are read.
    """
    c = configuration
    batch = -(-c.concurrency // (c.data_parallel_ranks * c.pipeline_parallel))
    prompt, output = round(lengths.input_mean), round(lengths.output_mean)
    with failures_named():
        summary = engine.backend.run_agg(
            engine.model,
            engine.database,
            config.RuntimeConfig(isl=prompt, osl=output, batch_size=batch),
            ctx_tokens=context_tokens_per_step(c, prompt, batch),
            max_num_tokens=c.max_num_tokens,
            max_seq_len=lengths.sequence_max,
        )
    engine.backend._agg_cache.clear()  # it would keep every summary, 13 KB each, and a sweep asks for none twice
    result = summary.get_result_dict()
    memory = summary.get_memory()
    figures = {key: float(result[key]) for key in ("ttft", "tpot", "request_latency", "tokens/s")}
    failure = None
    if summary.check_oom() or summary.check_kv_cache_oom():
        failure = _out_of_memory(memory, engine.gpu_memory_bytes / GIB)
    elif not all(math.isfinite(value) and value >= 0 for value in figures.values()):
        failure = Failure(FailureKind.UNSUPPORTED, "the kernel data gives no finite time for this configuration")
    return Estimate(
        ttft_ms=figures["ttft"],
        tpot_ms=figures["tpot"],
        request_latency_ms=figures["request_latency"],
        output_tokens_per_second=_output_rate(figures, output, c.concurrency) * _requests_held(c, batch),
        memory_gib=float(memory["total"]),
        kv_tokens=_kv_tokens(memory, engine.gpu_memory_bytes / GIB, batch * lengths.sequence_max),
        family=kernel_family(engine.model.model_family),
        measured_share=_measured_share(summary.get_per_ops_data(), summary.get_per_ops_source()),
        failure=failure,
    )


def context_tokens_per_step(configuration: Configuration, prompt_tokens: int, batch: int) -> int:
    """Prompt tokens that one step takes: the budget less the decoding requests, whole prompts unless chunked."""
    budget = configuration.max_num_tokens
    room = min(max(budget - batch, 1), prompt_tokens * batch)
    if configuration.chunked_prefill or room < prompt_tokens:
        return min(room, budget) if configuration.chunked_prefill else prompt_tokens
    return room // prompt_tokens * prompt_tokens


def _output_rate(figures: Mapping[str, float], output_tokens: int, concurrency: int) -> float:
    """Output tokens per second, first tokens included, which the formula leaves out of its own rate."""
    if output_tokens > 1:
        return figures["tokens/s"] * output_tokens / (output_tokens - 1)
    return concurrency * 1000 / figures["ttft"] if figures["ttft"] > 0 else 0.0


def _requests_held(configuration: Configuration, batch: int) -> float:
    """Share of the formula's full batches that the concurrency really fills."""
    full = batch * configuration.data_parallel_ranks * configuration.pipeline_parallel
    return configuration.concurrency / full


_SHARE_MEASURED = {"silicon": 1.0, "mixed": 0.5}
"""How much of a kernel's time was measured, by the package's word for its source."""


def _measured_share(times: Mapping[str, Mapping[str, float]], sources: Mapping[str, Mapping[str, str]]) -> float:
    """Share of the time of the mixed and decode steps, as often as each runs, that was measured (0 to 1)."""
    counts = times.get("scheduling", {})
    total = measured = 0.0
    for step, count in (
        ("mix_step", counts.get("num_mix_steps", 1.0)),
        ("genonly_step", counts.get("num_genonly_steps", 1.0)),
    ):
        for kernel, time_ms in times.get(step, {}).items():
            total += count * time_ms
            measured += count * time_ms * _SHARE_MEASURED.get(sources[step].get(kernel, ""), 0.0)
    return measured / total if total > 0 else 0.0


def _kv_tokens(memory: dict[str, float], capacity_gib: float, held_tokens: int) -> int:
    """Tokens that fit the share of free memory that the engine gives its KV cache."""
    free_gib = capacity_gib - (memory["total"] - memory["kvcache"])
    per_token = memory["kvcache"] / held_tokens
    return max(0, int(KV_CACHE_FRACTION * free_gib / per_token)) if per_token > 0 else 1 << 40


def _out_of_memory(memory: dict[str, float], capacity_gib: float) -> Failure:
    parts = ", ".join(f"{part} {gib:.1f}" for part, gib in memory.items() if part != "total" and gib >= 0.05)
    detail = f"needs {memory['total']:.1f} GiB of {capacity_gib:.1f} GiB on a GPU ({parts}); lower concurrency or widen tensor_parallel"
    return Failure(FailureKind.OUT_OF_MEMORY, detail)
