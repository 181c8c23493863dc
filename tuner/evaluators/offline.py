"""Measures a configuration offline with `trtllm-bench`, in place of a server and our own client.

Its throughput counts from the first request to the last, ramps included, and its figures have no intervals.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from tuner.configuration import Configuration
from tuner.economics.cost import Tokens, with_economics
from tuner.engines.base import Engine, Launch
from tuner.engines.errors import EngineFailedError, StartCancelledError
from tuner.engines.failures import named_by
from tuner.engines.log import searched
from tuner.engines.tensorrt_llm.bench import LOG_NAME, BenchReport
from tuner.engines.tensorrt_llm.engine import TensorrtLlmEngine
from tuner.load.arrivals import Closed
from tuner.load.vocabulary import UNKNOWN_IDS
from tuner.load.workload import load_of
from tuner.metrics import Provenance
from tuner.space.lengths import lengths_of
from tuner.spec import JobSpec
from tuner.trial import Failure, FailureKind, Measurement

ROUNDS: Final = 10
"""Requests of each user; InferenceX sends as many, and so ramps weigh little."""
_FEWEST: Final = 20
_PROMPT_STREAM: Final = 3
"""Stream of the seed that prompts are drawn from; lengths and arrivals have their own."""
_LOADED: Final = ("Running warmup", "Warmup done")
"""What the log says once the model is up."""
_TAIL_BYTES: Final = 64 * 1024

Clock = Callable[[], float]


def measured_offline(
    spec: JobSpec,
    engine: Engine,
    configuration: Configuration,
    folder: Path,
    details: dict[str, object],
    cancelled: Callable[[], bool],
    devices: tuple[str, ...],
    clock: Clock = time.monotonic,
) -> Measurement:
    """One measurement of one replica; `details` get what it rests on.

    Raises `EngineFailedError` when it fails or takes longer than a start and the job's seconds of load together, and
    what building and starting do.
    """
    if not isinstance(engine, TensorrtLlmEngine):
        raise EngineFailedError(Failure(FailureKind.UNSUPPORTED, f"trtllm-bench does not measure {engine.name}"))
    began = clock()
    artefact = engine.build(configuration, cancelled, devices)
    longest_start = spec.measuring.start_timeout_seconds or engine.start_timeout_seconds
    launch = Launch(
        configuration,
        artefact,
        lengths_of(spec.workload).sequence_max,
        folder,
        devices,
        shares_prefixes=spec.workload.shared_prefix > 0,
    )
    enough = _Enough(cancelled, longest_start + spec.measuring.seconds, clock)
    try:
        report = engine.bench(launch, requests_of(spec, configuration), enough)
    except StartCancelledError:
        if not enough.is_late:
            raise
        raise _late(engine, folder / LOG_NAME, enough.seconds) from None
    details |= {**report.details, "requests": report.requests, "engine": _facts(engine, report)}
    if report.seconds is not None:
        start_seconds = max(0.0, clock() - began - report.seconds)
        details |= {"start_seconds": start_seconds, "window_seconds": report.seconds}
    metrics = dict(report.metrics)
    metrics["requests_per_second"] *= configuration.replicas
    measured = Measurement(metrics, dict.fromkeys(metrics, Provenance.MEASURED), details=details)
    lengths = lengths_of(spec.workload)
    tokens = Tokens(lengths.input_mean, lengths.output_mean)
    return replace(with_economics(measured, configuration.gpu, tokens, spec.pricing), details=details)


class _Enough:
    """Says that it is enough: when the caller calls it off, or after so many seconds."""

    def __init__(self, cancelled: Callable[[], bool], seconds: float, clock: Clock) -> None:
        self._cancelled, self._clock, self._deadline = cancelled, clock, clock() + seconds
        self.seconds = seconds
        self.is_late = False

    def __call__(self) -> bool:
        self.is_late = self._clock() >= self._deadline
        return self.is_late or self._cancelled()


def _late(engine: Engine, log: Path, seconds: float) -> EngineFailedError:
    """Why a run was ended: what its log says, or how far it had come."""
    text = searched(log)
    failure = named_by(engine.failure_patterns, text)
    if failure is None and any(line in text for line in _LOADED):
        detail = f"trtllm-bench was not done after {seconds:.0f} s; raise measuring.seconds, or lower concurrency"
        failure = Failure(FailureKind.TOO_SLOW, detail)
    if failure is None:
        detail = f"trtllm-bench had not loaded the model after {seconds:.0f} s; raise measuring.start_timeout_seconds"
        failure = Failure(FailureKind.START_TIMEOUT, detail)
    return EngineFailedError(failure, text[-_TAIL_BYTES:])


def requests_of(spec: JobSpec, configuration: Configuration) -> Iterator[tuple[list[int], int]]:
    """The token ids of each prompt, alike only as far as the workload says, and its output tokens."""
    load = load_of(spec.workload, Closed(configuration.concurrency), spec.seed)
    generator = np.random.default_rng([spec.seed, _PROMPT_STREAM])
    common = _drawn(generator, lengths_of(spec.workload).input_max)
    for prompt, output in islice(load.lengths(), max(_FEWEST, ROUNDS * configuration.concurrency)):
        shared = common[: round(prompt * load.shared_prefix)]
        yield [*shared, *_drawn(generator, prompt - len(shared))], output


def _drawn(generator: np.random.Generator, tokens: int) -> list[int]:
    return [int(one) for one in generator.integers(UNKNOWN_IDS.start, UNKNOWN_IDS.stop, tokens)]


def _facts(engine: Engine, report: BenchReport) -> dict[str, object]:
    version = engine.version if report.version == "unknown" else report.version
    return {"engine": engine.name, "engine_version": version}
