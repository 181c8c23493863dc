"""What an export is made from, and what it gives."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from tuner.errors import ExportError, SpecError
from tuner.space.hardware import Gpu, find_gpu
from tuner.space.lengths import Lengths, lengths_of, read_trace
from tuner.space.models import ModelShape, model_shape
from tuner.spec import JobSpec
from tuner.spec_workload import NormalLength, TraceLength
from tuner.trial import Trial, TrialState


@dataclass(frozen=True, slots=True)
class ExportContext:
    """The trial to write, its job, and the recommendation's name or the number that it was asked for by."""

    job_id: str
    spec: JobSpec
    trial: Trial
    pick: str


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One exported file: its name, media type and text."""

    name: str
    media_type: str
    text: str


Writer = Callable[[ExportContext], ExportFile]


def deployable(context: ExportContext) -> ExportContext:
    """The context itself; raises `ExportError` when its trial failed or is not done, for nobody should deploy that."""
    failure = context.trial.failure
    if failure is not None:
        raise ExportError(
            f"trial {context.trial.number} failed ({failure.kind.value}: {failure.detail}) and cannot be deployed; "
            "pick a trial of the frontier"
        )
    if context.trial.state is TrialState.RUNNING:
        raise ExportError(f"trial {context.trial.number} is still running; wait for its figures")
    return context


def was_started(context: ExportContext) -> bool:
    """Whether paretune started the engine that the trial's figures were measured on."""
    return context.spec.measures and context.spec.replay is None


def known_model(context: ExportContext) -> ModelShape | None:
    """The shape of the job's model; `None` for a model that only the engine knows."""
    try:
        return model_shape(context.spec.model)
    except SpecError:
        return None


def known_gpu(context: ExportContext) -> Gpu | None:
    """The trial's GPU type; `None` for one without kernel data."""
    try:
        return find_gpu(context.trial.configuration.gpu)
    except SpecError:
        return None


def workload_lengths(context: ExportContext) -> Lengths:
    """Prompt and output lengths of the job; raises `ExportError` when their trace cannot be read."""
    try:
        return lengths_of(context.spec.workload)
    except SpecError as error:
        raise ExportError(f"the lengths of the workload are not known: {error}") from None


def moments(context: ExportContext, side: str) -> tuple[float, float]:
    """Mean and standard deviation of a side's lengths (`input` or `output`), in tokens; raises `ExportError` as above."""
    length = getattr(context.spec.workload, f"{side}_tokens")
    if isinstance(length, NormalLength):
        return float(length.mean), float(length.stdev)
    if not isinstance(length, TraceLength):
        return float(length), 0.0
    try:
        requests = read_trace(length.trace, f"workload.{side}_tokens.trace")
    except SpecError as error:
        raise ExportError(f"the lengths of the workload are not known: {error}") from None
    counts = [getattr(request, f"{side}_tokens") for request in requests]
    return statistics.fmean(counts), statistics.pstdev(counts)
