"""Which checkpoint a deployment needs: the engines serve what a checkpoint holds, so precision means a checkpoint."""

import re
import shlex
from dataclasses import dataclass

from tuner.engines.checkpoint import online_fp8
from tuner.errors import ExportError
from tuner.exports.base import ExportContext, known_model, was_started
from tuner.spec import Engine


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The model, the precision its weights must have, and whether the model's own checkpoint has it.

    `variable` is the shell variable that must name another checkpoint where the model's own will not do. `is_quantised`:
    the engine makes the weights of the model's own as it loads them.
    """

    model: str
    weights: str
    is_own: bool
    is_quantised: bool = False

    @property
    def variable(self) -> str:
        """`MODEL_FP8` for weights in `fp8`."""
        return "MODEL_" + re.sub(r"[^A-Z0-9]", "_", self.weights.upper())

    @property
    def note(self) -> str:
        """One sentence saying which checkpoint is needed."""
        if self.is_quantised:
            return f"checkpoint: {self.model} itself, which the engine quantises to {self.weights} as it loads it"
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
        return f'checkpoint="${{{self.variable}:?{plain_text(missing)}}}"\n'


def checkpoint_of(context: ExportContext) -> Checkpoint:
    """The checkpoint of the context's trial; a model with an unknown precision is taken for bfloat16.

    vLLM and SGLang serve the job's own model wherever paretune starts them.
    """
    model, weights = plain_model(context), context.trial.configuration.weights
    if was_started(context) and context.trial.configuration.engine in (Engine.VLLM, Engine.SGLANG):
        return Checkpoint(model, weights, is_own=True, is_quantised=online_fp8(model, weights))
    shape = known_model(context)
    own = shape.checkpoint_weights if shape is not None else "bfloat16"
    return Checkpoint(model, weights, weights == own)


def plain_model(context: ExportContext) -> str:
    """The job's model; raises `ExportError` for one that a program would read as a flag."""
    model = context.spec.model
    if model.startswith("-"):
        raise ExportError(f"the model name {model!r} would be read as a flag; give a path like ./{model}")
    return model


def plain_text(text: str) -> str:
    """The text without any character that means something to a shell, for messages inside double quotes."""
    return re.sub(r"[^A-Za-z0-9_ ,.-]", "_", text)
