"""Landscapes that nobody tuned on: simulated points of other models and GPUs times smooth random errors.

The errors are as large as on real GPUs. Step time and rate share one (their correlation is -1 in the shared replay
tables and in the wheel's silicon samples); TTFT, power and memory have their own.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.search_study.fields import Smoothness, field
from benchmarks.search_study.tables import DEFAULT, Case, meaning_of_table, prior_of
from tuner.configuration import Configuration, KnobValue
from tuner.economics.cost import Tokens, with_economics
from tuner.evaluators.prior import PriorRow
from tuner.metrics import Provenance
from tuner.search.staged.encoding import encode
from tuner.search.staged.history import Goal
from tuner.simulator.kernel_data import KernelData
from tuner.space.meaning import Meaning
from tuner.trial import Failure, FailureKind, Measurement

Floats = NDArray[np.float64]
Which = Literal["development", "final"]
Knobs = Mapping[str, Sequence[KnobValue]]

_FIGURES: Final = ("ttft_mean_ms", "tpot_mean_ms", "output_tokens_per_second_per_gpu", "power_watts_per_gpu")
_ERRORS: Final = {"ttft": 0.45, "step": 0.17, "power": 0.2, "memory": 0.04}
"""Standard deviations (log), as on real GPUs; each landscape's own are some 20 % more or less."""
_PLAIN_SHARE: Final = 0.7
"""Share of landscapes made from the plain formula; the others come from the scheduling simulation."""
_FIRST_SEED: Final[Mapping[Which, int]] = {"development": 1_000, "final": 9_000}
_OWN_ERROR: Final = 0.35
"""What a workload's own error is of the one it shares with its neighbour."""
_BOTH: Final = ("bfloat16", "fp8")
_CONCURRENCY: Final = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_BUDGETS: Final = (2048, 4096, 8192, 16384)


@dataclass(frozen=True, slots=True)
class Setting:
    """A model on a GPU under a workload, and the knobs of its table beside the load."""

    model: str
    gpu: str
    input_tokens: int
    output_tokens: int
    knobs: Knobs

    def grid(self) -> list[Configuration]:
        """Every configuration whose widths divide."""
        knobs = {"concurrency": _CONCURRENCY, "max_num_tokens": _BUDGETS, "kv_cache": _BOTH, **self.knobs}
        every = (
            Configuration("tensorrt-llm", self.gpu, **dict(zip(knobs, chosen, strict=True)))  # type: ignore[arg-type]
            for chosen in itertools.product(*knobs.values())
        )
        return [
            c for c in every if c.tensor_parallel % c.expert_parallel == 0 and c.concurrency >= c.data_parallel_ranks
        ]


_MOE: Final[Knobs] = {"expert_parallel": (1, 4, 8), "attention_dp": (False, True)}
_VARYING: Final = ("concurrency", "max_num_tokens", "kv_cache", "tensor_parallel", "weights", *_MOE)
_ALL_WIDTHS: Final = (1, 2, 4, 8)
SETTINGS: Final[Mapping[Which, tuple[Setting, ...]]] = {
    "development": (
        Setting("Qwen/Qwen3-8B", "h100_sxm", 1024, 256, {"tensor_parallel": (1, 2, 4), "weights": _BOTH}),
        Setting(
            "meta-llama/Meta-Llama-3.1-70B",
            "h200_sxm",
            2000,
            300,
            {"tensor_parallel": _ALL_WIDTHS, "weights": (*_BOTH, "fp8_block")},
        ),
        Setting(
            "Qwen/Qwen3-30B-A3B", "h100_sxm", 6000, 800, {"tensor_parallel": _ALL_WIDTHS, "weights": _BOTH, **_MOE}
        ),
        Setting(
            "deepseek-ai/DeepSeek-R1",
            "b200_sxm",
            1024,
            1024,
            {"tensor_parallel": (4, 8), "weights": ("fp8_block", "nvfp4"), "max_num_tokens": (2048, 8192), **_MOE},
        ),
    ),
    "final": (
        Setting(
            "meta-llama/Meta-Llama-3.1-8B", "h200_sxm", 4000, 500, {"tensor_parallel": (1, 2, 4), "weights": _BOTH}
        ),
        Setting(
            "meta-llama/Meta-Llama-3.1-70B",
            "b200_sxm",
            8000,
            1000,
            {"tensor_parallel": _ALL_WIDTHS, "weights": (*_BOTH, "fp8_block", "nvfp4")},
        ),
        Setting(
            "Qwen/Qwen3-235B-A22B", "h200_sxm", 2000, 500, {"tensor_parallel": _ALL_WIDTHS, "weights": _BOTH, **_MOE}
        ),
        Setting("Qwen/Qwen3-14B", "l40s", 1500, 400, {"tensor_parallel": _ALL_WIDTHS, "weights": _BOTH}),
        Setting(
            "mistralai/Mixtral-8x7B-v0.1",
            "h100_sxm",
            1024,
            512,
            {"tensor_parallel": _ALL_WIDTHS, "weights": _BOTH, "expert_parallel": (1, 2, 4)},
        ),
    ),
}


def fresh_cases(which: Which, count: int, kernels: KernelData) -> Iterator[Case]:
    """`count` landscapes of a set, each with its own errors and limit; the sets share neither setting nor seed."""
    bases = [_simulated(setting, kernels) for setting in SETTINGS[which][:count]]
    for number in range(count):
        yield bases[number % len(bases)].case(_FIRST_SEED[which] + number)


def neighbours(which: Which, count: int, kernels: KernelData) -> Iterator[tuple[Case, Case]]:
    """Pairs of one deployment under two workloads: mostly the same errors, smaller ones of each workload's own."""
    settings = SETTINGS[which][:2]
    first = [_simulated(setting, kernels) for setting in settings]
    second = [
        _simulated(replace(s, input_tokens=s.input_tokens * 3, output_tokens=s.output_tokens // 2), kernels)
        for s in settings
    ]
    for number in range(count):
        seed, place = _FIRST_SEED[which] + 500 + number, number % len(settings)
        yield first[place].case(seed, own_seed=seed + 100), second[place].case(seed, own_seed=seed + 200)


@dataclass(frozen=True, slots=True)
class _Simulated:
    """The simulated points of a setting, from which landscapes with other errors are made.

    `features`: configurations (n × d), counts scaled to their range; `groups` and `is_count` as in `Encoded`.
    """

    setting: Setting
    meaning: Meaning
    configurations: tuple[Configuration, ...]
    prior: tuple[PriorRow, ...]
    features: Floats
    groups: NDArray[np.int64]
    is_count: tuple[bool, ...]

    def case(self, seed: int, own_seed: int | None = None) -> Case:
        """The landscape of a seed; with `own_seed`, smaller errors of that seed come on top."""
        random = np.random.default_rng(seed)
        base = 1 if random.random() < _PLAIN_SHARE else 0
        noise, strictness = float(random.choice([0.0, 0.01, 0.02])), float(random.choice([0.4, 0.7, 1.0]))
        errors = self._errors(random)
        if own_seed is not None:
            own = self._errors(np.random.default_rng(own_seed))
            errors = {name: error + _OWN_ERROR * own[name] for name, error in errors.items()}
        truth = tuple(
            self._measurement(row, errors, base, random.normal(0, noise, 4)) for row in range(len(self.prior))
        )
        ttft = [found.metrics["ttft_mean_ms"] for found in truth if found.failure is None]
        bounds = {} if strictness == 1.0 else {"ttft_mean_ms": float(np.quantile(ttft, strictness))}
        setting = self.setting
        name = (
            f"{setting.model.rsplit('/', 1)[-1]} {setting.gpu} {setting.input_tokens}x{setting.output_tokens} #{seed}"
        )
        return Case(name, self.configurations, truth, self.prior, Goal(DEFAULT, bounds))

    def _errors(self, random: np.random.Generator) -> dict[str, Floats]:
        smoothness = Smoothness.drawn(random, self.is_count)
        return {
            name: size * np.exp(random.normal(0, 0.2)) * field(random, smoothness, self.groups)(self.features)
            for name, size in _ERRORS.items()
        }

    def _measurement(self, row: int, errors: Mapping[str, Floats], base: int, noise: Floats) -> Measurement:
        prior = self.prior[row]
        share = (prior.memory_share or 0.0) * float(np.exp(errors["memory"][row]))
        if share > self._most_memory() or not set(_FIGURES) <= set(prior.opinions[base]):
            return Measurement(failure=Failure(FailureKind.OUT_OF_MEMORY, "more than the GPU holds"))
        known, step = prior.opinions[base], errors["step"][row]
        logs = np.array([errors["ttft"][row], step, -step, errors["power"][row]]) + noise
        metrics = {key: known[key] * float(np.exp(log)) for key, log in zip(_FIGURES, logs, strict=True)}
        measured = Measurement(metrics, dict.fromkeys(metrics, Provenance.MEASURED))
        tokens = Tokens(self.setting.input_tokens, self.setting.output_tokens)
        return with_economics(measured, self.setting.gpu, tokens, self.meaning.spec.pricing)

    def _most_memory(self) -> float:
        """Largest share of a GPU's memory that the simulator says fits."""
        return max((row.memory_share or 0.0 for row in self.prior if row.runs), default=1.0)


def _simulated(setting: Setting, kernels: KernelData) -> _Simulated:
    meaning = meaning_of_table(setting.model, setting.gpu, setting.input_tokens, setting.output_tokens)
    grid = setting.grid()
    prior = prior_of(meaning, grid, kernels)
    encoded = encode({knob: [c.knob(knob) for c in grid] for knob in _VARYING}, len(grid))
    scale = np.where(np.array(encoded.is_count)[encoded.groups], np.ptp(encoded.features, axis=0), 1.0)
    kept = [row for row, found in enumerate(prior) if found.runs is not None]
    return _Simulated(
        setting,
        meaning,
        tuple(grid[row] for row in kept),
        tuple(prior[row] for row in kept),
        (encoded.features / scale)[kept],
        encoded.groups,
        encoded.is_count,
    )
