"""`trtllm-serve`: the YAML for `trtllm-serve MODEL --config FILE`, with every knob in it."""

from tuner.engines.tensorrt_llm import TrtllmArguments, arguments_of, to_yaml
from tuner.errors import ExportError, SpecError
from tuner.exports.base import (
    ExportContext,
    ExportFile,
    deployable,
    known_gpu,
    known_model,
    was_started,
    workload_lengths,
)
from tuner.exports.checkpoint import checkpoint_of
from tuner.exports.head import comment, head
from tuner.spec import Engine

FILE_NAME = "trtllm-serve.yaml"


def write(context: ExportContext) -> ExportFile:
    """The engine configuration of one replica, for TensorRT-LLM 1.2."""
    return ExportFile(FILE_NAME, "application/yaml", engine_yaml(deployable(context)))


def engine_yaml(context: ExportContext) -> str:
    """Head and arguments as YAML; raises `ExportError` when the engine is another, or refuses the combination."""
    configuration = context.trial.configuration
    checkpoint = checkpoint_of(context)
    arguments = engine_arguments(context)
    lines = [
        *head(context, "configuration for TensorRT-LLM 1.2, one replica (trtllm-serve CHECKPOINT --config THIS_FILE)"),
        checkpoint.note,
    ]
    if arguments.kv_cache_config.dtype == "auto" and configuration.weights != "bfloat16":
        lines.append("kv cache: bfloat16, as long as the checkpoint names no kv_cache_quant_algo (`auto` follows it)")
    if configuration.attention_dp:
        lines.append(
            f"attention in data parallel: batch and token limits are those of each of {configuration.data_parallel_ranks} ranks"
        )
    return comment(lines) + "\n" + to_yaml(arguments)


def engine_arguments(context: ExportContext) -> TrtllmArguments:
    """The arguments of one replica; raises `ExportError` as `engine_yaml` does.

    What was measured without reuse of earlier prompts is served without it too.
    """
    configuration = context.trial.configuration
    if configuration.engine != Engine.TENSORRT_LLM:
        raise ExportError(
            f"trtllm-serve is for tensorrt-llm, and trial {context.trial.number} runs {configuration.engine}; "
            "export serve-script instead"
        )
    reuses_blocks = not was_started(context) or context.spec.workload.shared_prefix > 0
    longest = workload_lengths(context).sequence_max
    try:
        return arguments_of(
            configuration, longest, known_model(context), known_gpu(context), reuses_blocks=reuses_blocks
        )
    except SpecError as error:
        raise ExportError(f"TensorRT-LLM refuses trial {context.trial.number}: {error}") from None
