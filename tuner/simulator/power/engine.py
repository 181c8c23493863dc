"""Board power of a simulated engine, and what a power limit or a locked clock does to it."""

import math
from dataclasses import dataclass
from typing import Final

from tuner.configuration import Configuration
from tuner.simulator.power.decoder import Decoder, decoder_from_config
from tuner.simulator.power.draw import GpuPower, PowerInputs, TimedStep, inputs_from_steps, predict_power_watts_per_gpu
from tuner.simulator.power.limits import StepShares, limited_step
from tuner.simulator.power.limits import slowdown as slowdown_at
from tuner.simulator.power.step_time import step_time
from tuner.simulator.power.table import PowerTable, read_power_table
from tuner.simulator.power.work import Layout, Load, steady_load, step_work
from tuner.space.models import ModelShape, raw_config

KV_BYTES: Final = {"bfloat16": 2.0, "fp8": 1.0}
_WORK_PRECISION: Final = {"int8_wo": "int8", "sq": "int8"}


@dataclass(frozen=True, slots=True)
class Slowdown:
    """How much longer prefill and decode steps take under a limit, and the SM clock over its maximum."""

    prefill: float
    decode: float
    clock_ratio: float


@dataclass(frozen=True, slots=True)
class Running:
    """An engine at work: output tokens per second of one replica, TPOT in ms, and mean prompt and output lengths."""

    output_tokens_per_second: float
    tpot_ms: float
    input_tokens: float
    output_tokens: float


class EnginePower:
    """The power of one model's engines."""

    def __init__(self, model: ModelShape) -> None:
        self._decoder: Decoder | None
        try:
            self._decoder = decoder_from_config(raw_config(model))
        except ValueError:
            self._decoder = None  # a shape that the model of power does not know: no figure, rather than a guess
        self._is_mxfp4 = model.checkpoint_weights == "mxfp4"
        self._table: PowerTable = read_power_table()

    def watts(self, configuration: Configuration, running: Running) -> float | None:
        """Average board power of a GPU in watts; `None` for an architecture whose work cannot be counted."""
        found = self._mean_step(configuration, running)
        if found is None:
            return None
        gpu, inputs, shares = found
        if _is_limited(configuration):
            limit, clock = configuration.power_limit_watts, configuration.gpu_clock_mhz
            return limited_step(gpu, inputs, shares, limit, clock).power_watts_per_gpu
        return predict_power_watts_per_gpu(gpu, inputs)

    def slowdown(self, configuration: Configuration, running: Running) -> Slowdown | None:
        """What the configuration's limits do to steps that run unlimited as given; `None` where no limit bites."""
        found = self._mean_step(configuration, running) if _is_limited(configuration) else None
        if found is None or self._decoder is None:
            return None
        gpu, inputs, shares = found
        limited = limited_step(gpu, inputs, shares, configuration.power_limit_watts, configuration.gpu_clock_mhz)
        if limited.clock_ratio >= 1.0:
            return None
        prompt = Load(0.0, running.input_tokens, running.input_tokens / 2)
        tokens = _decoding(configuration, running)
        answer = Load(max(tokens, 1.0), 0.0, running.input_tokens + running.output_tokens / 2)
        prefill, decode = (self._shares(configuration, load, None) for load in (prompt, answer))
        ratio = limited.clock_ratio
        return Slowdown(
            prefill=slowdown_at(ratio, prefill.compute, prefill.memory),
            decode=slowdown_at(ratio, decode.compute, decode.memory),
            clock_ratio=ratio,
        )

    def _mean_step(
        self, configuration: Configuration, running: Running
    ) -> tuple[GpuPower, PowerInputs, StepShares] | None:
        """The mean step of one pipeline lane: what a GPU does in it, and what binds it.

        Each stage holds its part of the layers and works on all the lanes in turn, so its work is that of one lane on
        the whole model. Sequences in decode follow from Little's law; below one, the GPU idles in between.
        """
        if self._decoder is None or running.tpot_ms <= 0:
            return None
        gpu = self._table.gpu(configuration.gpu)
        sequences = _decoding(configuration, running)
        load = steady_load(max(sequences, 1.0), running.input_tokens, running.output_tokens)
        layout = self._layout(configuration)
        work = step_work(self._decoder, load, layout)
        time = step_time(work, self._decoder, load, layout, gpu.peaks, self._table.engine)
        seconds = running.tpot_ms / 1000
        step = TimedStep(work, seconds, time, count=min(sequences, 1.0))
        return gpu, inputs_from_steps([step], layout, wall_seconds=seconds), self._shares(configuration, load, seconds)

    def _shares(self, configuration: Configuration, load: Load, seconds: float | None) -> StepShares:
        """Shares of a step's time bound by arithmetic and by memory, by their parts in the roofline."""
        assert self._decoder is not None
        gpu, layout = self._table.gpu(configuration.gpu), self._layout(configuration)
        work = step_work(self._decoder, load, layout)
        time = step_time(work, self._decoder, load, layout, gpu.peaks, self._table.engine)
        flops = {layout.weights: work.dense_flops + work.expert_flops, "bfloat16": work.attention_flops}
        arithmetic = sum(amount / gpu.peaks.flops_of(precision) for precision, amount in flops.items())
        memory = work.memory_bytes / gpu.peaks.memory_bandwidth
        kernels = min(1.0, time.kernels / (seconds or time.seconds))
        compute = arithmetic**2 / max(arithmetic**2 + memory**2, math.ulp(0.0))
        return StepShares(kernels * compute, kernels * (1.0 - compute))

    def _layout(self, configuration: Configuration) -> Layout:
        c = configuration
        weights = _WORK_PRECISION.get(c.weights, c.weights)
        return Layout(
            gpus=c.tensor_parallel,
            attention_dp=c.attention_dp,
            expert_parallel=c.expert_parallel > 1,
            weights="bfloat16" if self._is_mxfp4 else weights,
            expert_weights=weights,
            kv_bytes=KV_BYTES[c.kv_cache],
        )


def _decoding(configuration: Configuration, running: Running) -> float:
    """Sequences that one pipeline lane decodes on average (Little's law)."""
    return running.output_tokens_per_second / configuration.pipeline_parallel * running.tpot_ms / 1000


def _is_limited(configuration: Configuration) -> bool:
    return configuration.power_limit_watts is not None or configuration.gpu_clock_mhz is not None
