"""What the simulator says of configurations before any is measured: several opinions of each metric, and of memory.

The measuring policy weighs the opinions by how well each foresees the measurements, so more than one is given: the
scheduling simulation is nearer to real engines (TTFT above all), the plain formula to tables made from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tuner.configuration import Configuration
from tuner.economics.cost import Tokens, with_economics
from tuner.evaluators.simulate import SimulateEvaluator
from tuner.simulator.kernel_data import KernelData, UnsupportedError
from tuner.simulator.plain_formula import PlainEstimate, plain_estimate
from tuner.space.meaning import Meaning
from tuner.trial import Measurement

Depth = Literal["screen", "simulate"]


@dataclass(frozen=True, slots=True)
class PriorRow:
    """Opinions of one configuration: metrics by each simulation (empty where it has none), memory over what a GPU has.

    `runs` is what the simulator itself says of the memory; `None` where it has no data at all.
    """

    opinions: tuple[Mapping[str, float], ...]
    memory_share: float | None
    runs: bool | None


class PriorEvaluator:
    """Gathers the opinions of one job's configurations."""

    def __init__(self, meaning: Meaning, kernels: KernelData, depth: Depth) -> None:
        self._meaning, self._kernels = meaning, kernels
        self._evaluator = SimulateEvaluator(meaning, kernels)
        self._deep = self._evaluator.simulate if depth == "simulate" else self._evaluator.screen
        self._tokens = Tokens(meaning.lengths.input_mean, meaning.lengths.output_mean)

    def opinions(self, configuration: Configuration) -> PriorRow:
        """The opinions of one configuration. Raises `KernelDataError` when the machine lacks the data."""
        legal = self._legal(configuration)
        found = self._deep(legal)
        try:
            plain = plain_estimate(self._kernels.engine(legal, self._meaning.model), legal, self._meaning.lengths)
        except UnsupportedError:
            return PriorRow((found.metrics, {}), None, None)
        return PriorRow(
            (found.metrics, self._plain(configuration, plain, found)),
            plain.memory_gib / plain.capacity_gib,
            not plain.out_of_memory,
        )

    def _legal(self, configuration: Configuration) -> Configuration:
        """A table may leave chunking out that its token budgets need."""
        needs_chunks = configuration.max_num_tokens < self._meaning.lengths.input_max
        chunked = configuration.chunked_prefill or needs_chunks
        return replace(
            configuration,
            chunked_prefill=chunked,
            max_batch_size=configuration.max_batch_size or configuration.requests_per_rank,
        )

    def _plain(self, configuration: Configuration, plain: PlainEstimate, deep: Measurement) -> Mapping[str, float]:
        """The plain formula's figures; watts are those of the deep simulation, scaled by nothing."""
        metrics = {
            "ttft_mean_ms": plain.ttft_ms,
            "tpot_mean_ms": plain.tpot_ms,
            "request_latency_mean_ms": plain.ttft_ms + plain.tpot_ms * max(self._meaning.lengths.output_mean - 1, 0),
            "output_tokens_per_second_per_gpu": plain.output_tokens_per_second_per_gpu,
        }
        if "power_watts_per_gpu" in deep.metrics:
            metrics["power_watts_per_gpu"] = deep.metrics["power_watts_per_gpu"]
        priced = with_economics(Measurement(metrics), configuration.gpu, self._tokens, self._meaning.spec.pricing)
        return {key: value for key, value in priced.metrics.items() if value > 0}
