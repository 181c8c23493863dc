"""Which checkpoint a deployment needs: the engines serve what a checkpoint holds, so precision means a checkpoint."""

import re
import shlex
from dataclasses import dataclass

from tuner.errors import ExportError
from tuner.exports.base import ExportContext, known_model


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The model, the precision its weights must have, and whether the model's own checkpoint has it.

    `variable` is the shell variable that must name another checkpoint where the model's own will not do.
    """

    model: str
    weights: str
    is_own: bool

    @property
    def variable(self) -> str:
        """`MODEL_FP8` for weights in `fp8`."""
        return "MODEL_" + re.sub(r"[^A-Z0-9]", "_", self.weights.upper())

    @property
    def note(self) -> str:
        """One sentence saying which checkpoint is needed."""
        if self.is_own:
            return f"checkpoint: {self.model} itself, whose weights are {self.weights}"
        return (
            f"checkpoint: NOT {self.model} itself but the same model with {self.weights} weights "
            "(for instance from NVIDIA ModelOpt); the figures hold for that checkpoint only"
        )

    def shell(self) -> str:
        """Shell lines that set `checkpoint`, or stop saying which checkpoint is missing."""
        if self.is_own:
            return f"checkpoint={shlex.quote(self.model)}\n"
        missing = f"set {self.variable} to a checkpoint of the model above with {self.weights} weights"
        return f'checkpoint="${{{self.variable}:?{_plain(missing)}}}"\n'


def checkpoint_of(context: ExportContext) -> Checkpoint:
    """The checkpoint of the context's trial; a model with an unknown precision is taken for bfloat16."""
    model, weights = context.spec.model, context.trial.configuration.weights
    if model.startswith("-"):
        raise ExportError(f"the model name {model!r} would be read as a flag; give a path like ./{model}")
    shape = known_model(context)
    own = shape.checkpoint_weights if shape is not None else "bfloat16"
    return Checkpoint(model, weights, weights == own)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_ ,.-]", "_", text)
