"""The landscapes that samplers are compared on: replay tables, and real ones cut from the wheel's silicon samples."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiconfigurator_core
import numpy as np
from numpy.typing import NDArray

from tuner.configuration import Configuration
from tuner.economics.cost import Tokens, with_economics
from tuner.evaluators.prior import PriorEvaluator, PriorRow
from tuner.metrics import Provenance
from tuner.search.staged.history import Goal, Observation
from tuner.search.staged.improvement import hypervolume
from tuner.search.staged.landscape import Landscape
from tuner.search.staged.survey import Opinion, survey
from tuner.simulator.fidelity.names import find_model
from tuner.simulator.fidelity.serving_engine import precisions_of
from tuner.simulator.fidelity.serving_table import MeasuredPoint, parse_point
from tuner.simulator.kernel_data import KernelData
from tuner.space.hardware import find_gpu
from tuner.space.meaning import Meaning, meaning_of
from tuner.space.replay_table import read_table
from tuner.spec import JobSpec
from tuner.trial import Measurement

Floats = NDArray[np.float64]

DEFAULT: Final = ("cost_usd_per_million_output_tokens", "energy_joules_per_output_token", "tpot_mean_ms")
"""Objectives of a replay table."""
SILICON: Final = ("cost_usd_per_million_output_tokens", "tpot_mean_ms", "ttft_mean_ms")
"""Objectives of a silicon table, where nobody measured watts."""
_LEAST_POINTS: Final = 24
_NAME: Final = re.compile(r"(?P<model>.+)_(?P<gpu>[a-z0-9_]+?)_(?P<input>\d+)x(?P<output>\d+)(_.*)?")


@dataclass(frozen=True, slots=True)
class Case:
    """One landscape with its goal: what is true of every row, and what the simulator says of it."""

    name: str
    configurations: tuple[Configuration, ...]
    truth: tuple[Measurement, ...]
    prior: tuple[PriorRow, ...]
    goal: Goal

    def landscape(self, permute_seed: int | None = None, *, blind: bool = False) -> Landscape:
        """The space as the policy sees it; with a seed, the prior is permuted among rows of the same precision."""
        prior = self.prior if permute_seed is None else _permuted(self.prior, self.configurations, permute_seed)
        if blind:
            return survey(self.configurations, self.goal.metrics)
        opinions = [Opinion([row.opinions[number] for row in prior]) for number in range(2)]
        return survey(
            self.configurations,
            self.goal.metrics,
            opinions,
            [row.memory_share for row in prior],
            [row.runs for row in prior],
        )

    def observation(self, number: int, row: int) -> Observation:
        """What measuring a row shows."""
        found = self.truth[row]
        return Observation(number, row, found.metrics, found.failure.kind if found.failure else None)

    def points(self) -> tuple[Floats, NDArray[np.bool_]]:
        """Log objectives of every row (NaN where it failed), and which rows are feasible."""
        logs = np.array([[np.log(m.metrics.get(o, np.nan)) for o in self.goal.objectives] for m in self.truth])
        kept = np.array([m.failure is None and self.goal.keeps(m.metrics) for m in self.truth])
        return logs, kept & np.isfinite(logs).all(axis=1)


class Score:
    """Share of the true hypervolume: log objectives, the reference at the worst feasible figure of each objective."""

    def __init__(self, case: Case) -> None:
        self._logs, self._feasible = case.points()
        self._reference = self._logs[self._feasible].max(axis=0) + 1e-9
        self._whole = hypervolume(self._logs[self._feasible], self._reference)

    def shares(self, rows: Sequence[int]) -> list[float]:
        """The share after each of the measurements, in order (0 to 1)."""
        found = []
        for count in range(1, len(rows) + 1):
            kept = [row for row in rows[:count] if self._feasible[row]]
            found.append(hypervolume(self._logs[kept], self._reference) / self._whole if kept else 0.0)
        return found


def replay_cases(paths: Sequence[Path], limits_ms: Sequence[float], kernels: KernelData) -> Iterator[Case]:
    """The tables of some files (`MODEL_GPU_INPUTxOUTPUT_….csv`), each under several TTFT limits (0: none)."""
    for path in paths:
        named = _NAME.fullmatch(path.stem)
        if named is None:
            raise ValueError(f"{path.name} does not say its workload; name it MODEL_GPU_INPUTxOUTPUT_LABEL.csv")
        model = find_model(named["model"])
        gpu = find_gpu(named["gpu"]).name
        if model is None:
            raise ValueError(f"{named['model']} in {path.name} is no known model")
        meaning = meaning_of_table(model.name, gpu, int(named["input"]), int(named["output"]))
        tokens = Tokens(int(named["input"]), int(named["output"]))
        defaults = Configuration(engine="tensorrt-llm", gpu=gpu)
        table = read_table(path, defaults, tokens, meaning.spec.pricing)
        configurations = tuple(configuration for configuration, _ in table.rows)
        truth = tuple(measurement for _, measurement in table.rows)
        prior = prior_of(meaning, configurations, kernels)
        for limit in limits_ms:
            goal = Goal(DEFAULT, {"ttft_mean_ms": limit} if limit else {})
            name = f"{path.stem} ttft<={limit:g}" if limit else path.stem
            yield Case(name, configurations, truth, prior, goal)


def silicon_cases(most: int, kernels: KernelData) -> Iterator[Case]:
    """Real tables of one model, GPU and workload on TensorRT-LLM; the largest `most` without speculative rows."""
    path = Path(aiconfigurator_core.__file__).parent / "systems" / "silicon_sample.csv"
    groups: dict[tuple[str, str, int, int], list[MeasuredPoint]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["mode"] == "agg" and row["backend"] == "trtllm":
                point = parse_point(row)
                if not point.speculative and point.ttft_ms and point.tpot_ms:
                    groups[point.model, point.system, point.input_tokens, point.output_tokens].append(point)
    for (model, system, prompt, output), points in sorted(groups.items(), key=lambda found: -len(found[1])):
        if most == 0 or len(points) < _LEAST_POINTS:
            return
        case = _silicon(model, system, prompt, output, points, kernels)
        if case is not None and len(case.configurations) >= _LEAST_POINTS:
            most -= 1
            yield case


def _silicon(
    model: str, system: str, prompt: int, output: int, points: Sequence[MeasuredPoint], kernels: KernelData
) -> Case | None:
    shape = find_model(model)
    if shape is None:
        return None
    meaning = meaning_of_table(shape.name, find_gpu(system).name, prompt, output)
    rows: dict[Configuration, Measurement] = {}
    for point in points:
        configuration = Configuration(
            engine="tensorrt-llm",
            gpu=find_gpu(system).name,
            tensor_parallel=point.tensor_parallel * point.attention_dp,
            pipeline_parallel=point.pipeline_parallel,
            expert_parallel=point.moe_expert_parallel,
            attention_dp=point.attention_dp > 1,
            weights=precisions_of(point, shape).weights,
            kv_cache=precisions_of(point, shape).kv_cache or "bfloat16",
            concurrency=point.concurrency,
            max_num_tokens=max(8192, point.concurrency + prompt + 64),
        )
        rate = point.output_tokens_per_second_per_gpu
        metrics = {
            "ttft_mean_ms": point.ttft_ms,
            "tpot_mean_ms": point.tpot_ms,
            "output_tokens_per_second_per_gpu": rate,
        }
        known = {key: value for key, value in metrics.items() if value is not None}
        measured = Measurement(known, dict.fromkeys(known, Provenance.MEASURED))
        tokens = Tokens(prompt, output)
        rows.setdefault(configuration, with_economics(measured, configuration.gpu, tokens, meaning.spec.pricing))
    prior = prior_of(meaning, tuple(rows), kernels)
    known_rows = [number for number, row in enumerate(prior) if row.runs is not None]
    configurations, truth = tuple(rows), tuple(rows.values())
    return Case(
        f"silicon {model.rsplit('/', 1)[-1]} {system} {prompt}x{output}",
        tuple(configurations[number] for number in known_rows),
        tuple(truth[number] for number in known_rows),
        tuple(prior[number] for number in known_rows),
        Goal(SILICON),
    )


def meaning_of_table(model: str, gpu: str, prompt: int, output: int) -> Meaning:
    """What a job over a table means: no shipped correction, one price for all GPUs."""
    data: Mapping[str, object] = {
        "model": model,
        "hardware": {"gpu": gpu, "gpus": 64},
        "workload": {"input_tokens": prompt, "output_tokens": output},
        "correction": False,  # its factors were fitted to the silicon samples: that would be telling
        "pricing": {"gpu_hour_usd": 2.0},
    }
    return meaning_of(JobSpec.model_validate(data))


def prior_of(meaning: Meaning, configurations: Sequence[Configuration], kernels: KernelData) -> tuple[PriorRow, ...]:
    """What the simulator says of every row."""
    evaluator = PriorEvaluator(meaning, kernels, "simulate")
    return tuple(evaluator.opinions(configuration) for configuration in configurations)


def _permuted(prior: Sequence[PriorRow], configurations: Sequence[Configuration], seed: int) -> tuple[PriorRow, ...]:
    random = np.random.default_rng([seed, 7])
    found = list(prior)
    for weights in sorted({configuration.weights for configuration in configurations}):
        rows = [number for number, configuration in enumerate(configurations) if configuration.weights == weights]
        for row, other in zip(rows, random.permutation(rows), strict=True):
            found[row] = prior[int(other)]
    return tuple(found)
