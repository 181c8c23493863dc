"""What a job learned of the simulator's errors, in a form that a later job can start from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tuner.configuration import Configuration, KnobValue, knobs_of
from tuner.search.staged.encoding import encode, with_workload
from tuner.search.staged.history import Observation
from tuner.search.staged.landscape import Landscape, Lesson
from tuner.trial import FailureKind

NEAREST_WITHIN: Final = 1.5
"""Distance (doublings of counts, steps of categories) within which an earlier configuration speaks for a row."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a correction holds for: all four must be the same."""

    model_family: str
    gpu: str
    engine_version: str
    driver: str


@dataclass(frozen=True, slots=True)
class Correction:
    """One measured configuration: log(measured / simulated) by metric, one figure an opinion; or its failure.

    `log_memory`: the predicted memory of then, as `Landscape.log_memory`.
    """

    configuration: Mapping[str, KnobValue]
    input_tokens: float
    output_tokens: float
    log_ratios: Mapping[str, tuple[float, ...]]
    failure: FailureKind | None = None
    log_memory: float | None = None


def corrections(
    landscape: Landscape,
    configurations: Sequence[Configuration],
    observations: Sequence[Observation],
    input_tokens: float,
    output_tokens: float,
) -> list[Correction]:
    """What the observations of a job teach, to be stored under its scope; a lost machine teaches nothing."""
    found = []
    for observation in observations:
        if observation.failure is FailureKind.LOST:
            continue
        ratios = {
            metric: tuple(float(np.log(observation.values[metric]) - logs[observation.row]) for logs in opinions)
            for metric, opinions in landscape.log_priors.items()
            if observation.values.get(metric, 0.0) > 0
        }
        knobs = configurations[observation.row].to_dict()
        memory = float(landscape.log_memory[observation.row]) if landscape.log_memory is not None else None
        found.append(Correction(knobs, input_tokens, output_tokens, ratios, observation.failure, memory))
    return found


def taught(
    landscape: Landscape,
    configurations: Sequence[Configuration],
    earlier: Sequence[Correction],
    input_tokens: float,
    output_tokens: float,
) -> Landscape:
    """The landscape with what earlier jobs learned, each on the row most like it; corrections too unlike are left out.

    A correction whose metrics have another number of opinions than here is left out too. `input_tokens` and
    `output_tokens` are this job's (means): a correction tells the less, the further its workload is from here.
    """
    if not earlier or not configurations:
        return landscape
    every = [*configurations, *(Configuration.from_dict(correction.configuration) for correction in earlier)]
    features = encode({knob: [c.knob(knob) for c in every] for knob in knobs_of(every)}, len(every)).features
    here, there = features[: len(configurations)], features[len(configurations) :]
    encoded = with_workload(landscape.encoded)
    lessons = []
    for correction, place in zip(earlier, there, strict=True):
        distance = ((here - place) ** 2).sum(axis=1)
        row = int(np.argmin(distance))
        ratios = {
            metric: values
            for metric, values in correction.log_ratios.items()
            if len(values) == len(landscape.log_priors.get(metric, ()))
        }
        shift = np.zeros(encoded.features.shape[1])
        shift[-2:] = (
            _doublings(correction.input_tokens, input_tokens),
            _doublings(correction.output_tokens, output_tokens),
        )
        failed = correction.failure is not None
        if (ratios or failed) and distance[row] <= NEAREST_WITHIN**2:
            lessons.append(Lesson(row, ratios, shift, failed, correction.log_memory))
    return replace(landscape, encoded=encoded, lessons=(*landscape.lessons, *lessons))


def _doublings(tokens: float, than: float) -> float:
    return math.log2(tokens / than) if tokens > 0 and than > 0 else 0.0
