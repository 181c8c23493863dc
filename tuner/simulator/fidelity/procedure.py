"""The InferenceX measuring procedure, simulated: what its client would have reported for an engine.

Closed loop at a concurrency C, all C started at once, ten times C requests, prompts and outputs drawn uniformly from 80
to 100 % of the nominal lengths, every output to its end (``ignore_eos``), no block reuse, ``max_num_tokens`` =
max(8192, C + prompt + 64). Statistics are taken over all requests, the starting burst included (FIELD.md section 8).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tuner.simulator.fidelity.serving_table import MeasuredPoint
from tuner.simulator.latency.arrivals import FloatArray, Lengths, closed_loop
from tuner.simulator.latency.correction import Correction, Subject, model_key
from tuner.simulator.latency.host import HostModel
from tuner.simulator.latency.limits import EngineLimits, HostOverhead
from tuner.simulator.latency.scheduling import StepClock, simulate
from tuner.simulator.latency.steps import StepTimes
from tuner.simulator.latency.timeline import Timeline

LOWEST_SHARE = 0.8
"""Shortest prompt and output as a share of the nominal length (``--random-range-ratio 0.8``)."""
ROUNDS = 10
"""Requests per user (``--num-prompts`` is ten times ``--max-concurrency``)."""
MOST_REQUESTS = 1800
"""Above this many requests fewer rounds are simulated, and later rounds count for more."""
BALANCE_WAIT_STEPS = 60
"""``attention_dp_config.timeout_iters`` of InferenceX's TensorRT-LLM scripts (``enable_balance: true``)."""
BUDGET_FLOOR_SINCE = "2026-01-20"
"""InferenceX's DeepSeek scripts had no floor of 8192 under ``max_num_tokens`` before (their TTFT shows it)."""


@dataclass(frozen=True)
class Prediction:
    """What the client would report: latencies in ms, output tokens/s/GPU over the whole run."""

    ttft_ms: float
    ttft_mean_ms: float
    ttft_p99_ms: float
    tpot_ms: float
    output_tokens_per_second_per_gpu: float

    def corrected(self, ttft: float, tpot: float, output_tokens: int) -> Prediction:
        """Latencies times factors; throughput follows request latency (closed loop)."""
        before = self.ttft_mean_ms + self.tpot_ms * (output_tokens - 1)
        after = self.ttft_mean_ms * ttft + self.tpot_ms * tpot * (output_tokens - 1)
        return Prediction(
            self.ttft_ms * ttft,
            self.ttft_mean_ms * ttft,
            self.ttft_p99_ms * ttft,
            self.tpot_ms * tpot,
            self.output_tokens_per_second_per_gpu * before / after,
        )


@dataclass(frozen=True)
class SimulatedEngine:
    """What the kernel data says of one engine configuration.

    ``kv_tokens``: KV-cache capacity per attention rank (None: unknown, never the limit); ``family``: dense, moe,
    mla_moe, hybrid; ``layers``: transformer layers.
    """

    steps: StepTimes
    kv_tokens: int | None
    family: str
    layers: int


def subject(point: MeasuredPoint, family: str) -> Subject:
    """The point as the correction sees it."""
    return Subject(
        engine=point.engine,
        system=point.system,
        precision=point.precision or "bf16",
        family=family,
        model=model_key(point.model),
        tensor_parallel=point.tensor_parallel,
        expert_parallel=point.moe_expert_parallel,
        attention_dp=point.attention_dp,
        requests=requests_per_rank(point),
        input_tokens=point.input_tokens,
        output_tokens=point.output_tokens,
    )


def predict(
    point: MeasuredPoint, engine: SimulatedEngine, host: HostModel, correction: Correction, seed: int = 0
) -> Prediction:
    """Simulate the procedure for one point and correct the figures; ValueError where no request fits the engine."""
    overhead = host.overhead(engine.family, point.system, engine.layers)
    simulated = report(point, play(point, engine.steps, engine.kv_tokens, overhead, seed))
    factors = correction.factors(subject(point, engine.family))
    return simulated.corrected(factors.ttft, factors.tpot, point.output_tokens)


def columns(point: MeasuredPoint, prediction: Prediction) -> dict[str, float]:
    """The columns that ``bench fidelity`` adds; TTFT in the statistic that the table's row was measured in."""
    mean = point.ttft_statistic == "mean"
    return {
        "predicted_ttft_ms": prediction.ttft_mean_ms if mean else prediction.ttft_ms,
        "predicted_ttft_p99_ms": prediction.ttft_p99_ms,
        "predicted_tpot_ms": prediction.tpot_ms,
        "predicted_output_tokens_per_second_per_gpu": prediction.output_tokens_per_second_per_gpu,
    }


def token_budget(point: MeasuredPoint) -> int:
    """``max_num_tokens`` as the procedure sets it (vLLM and SGLang: their usual 8192, chunked)."""
    needed = point.concurrency + point.input_tokens + 64
    if point.engine != "trtllm":
        return 8192
    if "DeepSeek" in point.model and "" < point.measured < BUDGET_FLOOR_SINCE:
        return -(-needed // 64) * 64
    return max(8192, needed)


def prompt_lengths(point: MeasuredPoint) -> Lengths:
    """Prompt lengths of the procedure."""
    return Lengths(point.input_tokens, "uniform", LOWEST_SHARE)


def output_lengths(point: MeasuredPoint) -> Lengths:
    """Output lengths of the procedure."""
    return Lengths(point.output_tokens, "uniform", LOWEST_SHARE)


def requests_per_rank(point: MeasuredPoint) -> int:
    """Requests in flight on one attention rank and pipeline lane."""
    return max(1, -(-point.concurrency // (point.pipeline_parallel * point.attention_dp)))


def rounds(concurrency: int) -> int:
    """Requests per user that are simulated: ten, fewer for very large concurrencies."""
    return min(ROUNDS, max(3, MOST_REQUESTS // concurrency))


def play(point: MeasuredPoint, clock: StepClock, kv_tokens: int | None, host: HostOverhead, seed: int = 0) -> Timeline:
    """Simulate one pipeline lane under the procedure; the lanes are alike."""
    lane = max(1, point.concurrency // point.pipeline_parallel)
    limits = EngineLimits(
        max_batch_size=requests_per_rank(point) + 1,
        max_num_tokens=token_budget(point),
        chunked_prefill=point.engine != "trtllm",
        kv_tokens=kv_tokens,
        ranks=point.attention_dp,
        balance_wait_steps=BALANCE_WAIT_STEPS if point.engine == "trtllm" else 0,
        host=host,
    )
    traffic = closed_loop(lane, lane * rounds(lane), prompt_lengths(point), output_lengths(point), seed)
    return simulate(clock, limits, traffic)


def report(point: MeasuredPoint, timeline: Timeline) -> Prediction:
    """What the client prints; rounds that were not simulated are stood for by the later ones."""
    lane = max(1, point.concurrency // point.pipeline_parallel)
    weights = np.ones(len(timeline.sent_ms))
    played = rounds(lane)
    if played < ROUNDS:
        weights[lane:] = (ROUNDS - 1) / (played - 1)
    ttft, tpot = timeline.ttft_ms, timeline.tpot_ms
    known = np.isfinite(ttft) & np.isfinite(timeline.end_ms)
    if not known.any():
        raise ValueError(f"{point.name}: no request can be served: the KV cache is smaller than one request")
    makespan_ms = float(timeline.end_ms[known].max())
    first_ms = float(timeline.first_token_ms[known][:lane].max()) if played < ROUNDS else 0.0
    later_ms = (makespan_ms - first_ms) * ((ROUNDS - 1) / (played - 1) if played < ROUNDS else 1.0)
    tokens = float((timeline.output_tokens * weights)[known].sum())
    return Prediction(
        ttft_ms=_quantile(ttft[known], weights[known], 0.5),
        ttft_mean_ms=float(np.average(ttft[known], weights=weights[known])),
        ttft_p99_ms=_quantile(ttft[known], weights[known], 0.99),
        tpot_ms=float(np.nanmedian(tpot[known])) if np.isfinite(tpot[known]).any() else 0.0,
        output_tokens_per_second_per_gpu=tokens / (first_ms + later_ms) * 1000.0 * point.pipeline_parallel / point.gpus,
    )


def _quantile(values: FloatArray, weights: FloatArray, share: float) -> float:
    if weights.min() == weights.max():
        return float(np.quantile(values, share))
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) - 0.5 * weights[order]
    return float(np.interp(share * weights.sum(), reached, values[order]))
