"""Whole staged jobs on the stand-in: the one place where they are made and run; test equipment."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.tuner.engines.tensorrt_llm.conftest import INSTALLATION, MODEL
from tests.tuner.engines.tensorrt_llm.standin_batching import Machine
from tests.tuner.engines.tensorrt_llm.standin_faults import read_orders
from tests.tuner.engines.tensorrt_llm.standin_programs import machine_of
from tests.tuner.engines.tensorrt_llm.standin_truth import played
from tuner.configuration import Configuration
from tuner.engines.served import ledger_of
from tuner.engines.tensorrt_llm.deployment import arguments_of, to_yaml
from tuner.engines.tensorrt_llm.engine import CONFIG_NAME
from tuner.evaluators.pool import EvaluationPool
from tuner.evaluators.source import Workshop
from tuner.load.arrivals import Closed
from tuner.load.workload import load_of
from tuner.search.run import run_job
from tuner.search.study import Baseline, Progress, StudyResult
from tuner.simulator.kernel_data import KernelData
from tuner.space.choice import choices_of
from tuner.space.hardware import find_gpu
from tuner.space.lengths import lengths_of
from tuner.space.models import model_shape
from tuner.spec import JobSpec, parse_spec
from tuner.trial import Trial

WORKLOAD = {"input_tokens": 128, "output_tokens": 16}
GPUS = 2
SPEED = 0.25
"""Slow enough for a client that shares its cores with others; a measurement of a busy machine's client is lost."""


def told(spec: JobSpec, row: Configuration) -> dict[str, Any]:
    """What the YAML file of a configuration says."""
    arguments = arguments_of(row, lengths_of(spec.workload).sequence_max, model_shape(spec.model), find_gpu(row.gpu))
    data: dict[str, Any] = yaml.safe_load(to_yaml(arguments))
    return data


class Heard:
    """A listener that keeps the latest word on every trial."""

    def __init__(self) -> None:
        self.trials_of: dict[int, Trial] = {}

    def started(self, space_size: int, sampler: str, baseline: Baseline | None) -> None:
        """Not kept: the result says it too."""

    def trials(self, batch: Sequence[Trial], progress: Progress, frontier: Sequence[int]) -> None:
        """Keeps the trials."""
        self.trials_of |= {trial.number: trial for trial in batch}

    def doing(self, words: str | None) -> None:
        """Not kept."""

    def cancelled(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class StagedJobs:
    """Makes staged jobs on the stand-in, and runs them in a workshop of their own."""

    workshop: Workshop
    pool: EvaluationPool
    kernels: KernelData
    heard: Heard = field(default_factory=Heard)

    @classmethod
    def at(cls, folder: Path, pool: EvaluationPool, kernels: KernelData) -> "StagedJobs":
        """Jobs that keep everything in a folder."""
        workshop = Workshop(folder / "data", folder / "data" / "measurements" / "job", tensorrt_llm=INSTALLATION)
        return cls(workshop, pool, kernels)

    def spec(self, space: dict[str, Any], **changes: Any) -> JobSpec:
        """A small job on H100s with the simulated prior; each configuration is measured once."""
        plain: dict[str, Any] = {
            "model": MODEL,
            "hardware": {"gpu": "h100_sxm", "gpus": GPUS},
            "workload": WORKLOAD,
            "objectives": ["cost", "tpot"],
            "evaluator": "staged",
            "reuse": "none",
            "measuring": {"seconds": 6, "precision": 0.1, "repeats": 1, "start_timeout_seconds": 60},
        }
        fixed = {"replicas": [1], "pipeline_parallel": [1], "kv_cache": ["bfloat16"], "max_num_tokens": [2048]}
        return parse_spec({**plain, **changes, "space": {**fixed, "chunked_prefill": [True], **space}})

    def run(self, spec: JobSpec) -> tuple[StudyResult, list[Trial]]:
        """Runs a job to its end; its trials in order."""
        for row in choices_of(spec):
            self.machine(spec, row)  # so that no start of the stand-in waits for the kernel data
        result = run_job(spec, self.heard, self.pool, workshop=self.workshop)
        return result, [self.heard.trials_of[number] for number in sorted(self.heard.trials_of)]

    def machine(self, spec: JobSpec, row: Configuration) -> Machine:
        """The stand-in's machine of a configuration."""
        return machine_of(spec.model, told(spec, row), read_orders(), row.weights, self.kernels)

    def true_tpot_ms(self, spec: JobSpec, row: Configuration) -> float:
        """The mean TPOT that the stand-in means to show its users, in steady state."""
        machine, users, lengths = self.machine(spec, row), row.concurrency, lengths_of(spec.workload)
        load = load_of(spec.workload, Closed(users), spec.seed)
        requests = list(itertools.islice(load.lengths(), max(500, 20 * users)))
        spread_ms = machine.steps.times.decode(users, lengths.sequence_max) * lengths.output_mean
        timeline = played(machine, requests, users, spread_ms)
        return float(timeline.tpot_ms[2 * users : -2 * users].mean()) / machine.speed

    def simulated_tpot_ms(self, spec: JobSpec, rows: Sequence[Configuration]) -> list[float]:
        """The mean TPOT that the product foresees of some configurations."""
        return [found.metrics["tpot_mean_ms"] for found in self.pool.simulate(spec, rows).result()]

    def begun(self) -> list[dict[str, Any]]:
        """What the YAML file of each server that was started says, in no order."""
        return [yaml.safe_load(path.read_text()) for path in self.workshop.folder.glob(f"*/{CONFIG_NAME}")]

    def still_on_record(self) -> list[object]:
        """Servers that the workshop still has on record."""
        return list(ledger_of(self.workshop.data_dir).records())
