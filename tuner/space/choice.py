"""The configurations that a job chooses among: the space of its model and engine, or the rows of its table."""

from collections.abc import Sequence

from tuner.configuration import KNOBS, Configuration, knobs_of
from tuner.space.build import build_space
from tuner.space.meaning import meaning_of
from tuner.space.measured import measured_own_knobs, measured_space
from tuner.space.replay_table import table_of
from tuner.spec import EvaluatorName, JobSpec


def choices_of(spec: JobSpec) -> Sequence[Configuration]:
    """The configurations of a job, in a fixed order.

    Raises `SpecError` with one problem for each field that is wrong in itself or against what it names.
    """
    if spec.evaluator is EvaluatorName.REPLAY:
        return table_of(spec).configurations
    if spec.replay is not None:
        meaning_of(spec)
        return table_of(spec).configurations
    return measured_space(spec) if spec.measures else build_space(spec)


def own_knobs_of(spec: JobSpec) -> tuple[str, ...]:
    """The knobs beyond the common ones that configurations of the job have, by name; cheap, however large its space.

    Raises `SpecError` when the job's table cannot be read.
    """
    if spec.replay is not None:
        return knobs_of(table_of(spec).configurations)[len(KNOBS) :]
    return measured_own_knobs(spec) if spec.measures else ()
