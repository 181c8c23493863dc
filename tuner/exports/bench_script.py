"""`bench-script`: a bash script that measures one replica under the job's workload with the engine's own tool.

`trtllm-bench` starts its engine itself; the tools of vLLM and SGLang load a server started by the serve script. Their
options were looked up 2026-11 (TensorRT-LLM 1.2, vLLM 0.11, SGLang 0.5). Engines without a tool of their own are loaded by
`paretune measure`.
"""

import math
from typing import Final

from tuner.configuration import Configuration
from tuner.engines.tensorrt_llm.deployment import FREE_GPU_MEMORY_FRACTION
from tuner.errors import ExportError
from tuner.exports.base import ExportContext, ExportFile, deployable, moments
from tuner.exports.checkpoint import checkpoint_of
from tuner.exports.head import comment, head
from tuner.exports.load_bench import load_bench
from tuner.exports.shell import SHEBANG, STRICT, command, gpu_list, here_document
from tuner.exports.trtllm_serve import engine_arguments, engine_yaml
from tuner.spec import Engine
from tuner.spec_workload import TraceLength

FILE_NAME: Final = "bench.sh"
REQUESTS_PER_STREAM: Final = 10
WARMUPS_PER_STREAM: Final = 2
MIN_REQUESTS: Final = 64
"""Ten requests and two to warm up for each in flight, as InferenceX measures; never fewer than 64."""

_CHECK_REPORT: Final = """\
if [[ ! -s "$report" ]]; then
  echo "no report was written: the engine has probably run out of memory; read the log above" >&2
  exit 1
fi
echo "report: $report" >&2
"""


def write(context: ExportContext) -> ExportFile:
    """The script; raises `ExportError` for a trial that no script can measure."""
    deployable(context)
    engine = context.trial.configuration.engine
    if engine == Engine.TENSORRT_LLM:
        notes, body = _trtllm_bench(context)
    elif engine in (Engine.VLLM, Engine.SGLANG):
        notes, body = _serving_bench(context)
    elif engine in (Engine.LLAMA_CPP, Engine.COMMAND):
        notes, body = load_bench(context)
    else:
        raise ExportError(f"no benchmark script is written for engine {engine}; it is for {', '.join(Engine)}")
    text = "\n".join(
        [
            SHEBANG + comment([*head(context, "measures one replica"), *notes]),
            STRICT,
            'report="${REPORT:-bench-report.json}"\n' + body,
        ]
    )
    return ExportFile(FILE_NAME, "text/x-shellscript", text)


def _requests(context: ExportContext) -> str:
    """Shell lines that set how many requests a tool sends, and the checkpoint that it counts their tokens with."""
    requests = max(MIN_REQUESTS, REQUESTS_PER_STREAM * context.trial.configuration.concurrency)
    return checkpoint_of(context).shell() + f'requests="${{REQUESTS:-{requests}}}"\n'


def _trtllm_bench(context: ExportContext) -> tuple[list[str], str]:
    knobs = context.trial.configuration
    (input_mean, input_stdev), (output_mean, output_stdev) = (moments(context, side) for side in ("input", "output"))
    tool = ["trtllm-bench", '"${model[@]}"']
    dataset = [*tool, "prepare-dataset", "--output", '"$work/dataset.jsonl"', "--random-seed", str(context.spec.seed)]
    dataset += ["token-norm-dist", "--num-requests", '"$requests"']
    dataset += ["--input-mean", str(round(input_mean)), "--input-stdev", str(round(input_stdev))]
    dataset += ["--output-mean", str(round(output_mean)), "--output-stdev", str(round(output_stdev))]
    run = [*tool, "throughput", "--backend", "pytorch", "--dataset", '"$work/dataset.jsonl"']
    run += ["--config", '"$work/trtllm-serve.yaml"', *_engine_flags(context)]
    run += ["--concurrency", str(knobs.concurrency), "--warmup", str(WARMUPS_PER_STREAM * knobs.concurrency)]
    run += ["--streaming", "--report_json", '"$report"']
    body = (
        _requests(context)
        + "replicas=1\n"
        + gpu_list(knobs)
        + 'CUDA_VISIBLE_DEVICES="$(IFS=,; echo "${gpus[*]:0:needed}")"\n'
        + "export CUDA_VISIBLE_DEVICES\n"
        + 'model=(--model "$checkpoint")\n'
        + 'if [[ -d "$checkpoint" ]]; then\n  model+=(--model_path "$checkpoint")\nfi\n'
        + 'work="$(mktemp -d)"\n'
        + "trap 'rm -rf \"$work\"' EXIT\n"
        + here_document('"$work/trtllm-serve.yaml"', engine_yaml(context))
        + command(dataset)
        + "\n"
        + 'rm -f "$report"\n'
        + command(run)
        + "\n"
        + _CHECK_REPORT
    )
    notes = [checkpoint_of(context).note, "", *_load_notes(context, "trtllm-bench")]
    return [*notes, "REQUESTS and REPORT may be set outside."], body


def _engine_flags(context: ExportContext) -> list[str]:
    """What trtllm-bench's own heuristics would otherwise choose; the YAML says the same."""
    arguments = engine_arguments(context)
    flags = ["--tp", str(arguments.tensor_parallel_size), "--pp", str(arguments.pipeline_parallel_size)]
    if arguments.moe_expert_parallel_size is not None:
        flags += ["--ep", str(arguments.moe_expert_parallel_size)]
    flags += ["--max_batch_size", str(arguments.max_batch_size), "--max_num_tokens", str(arguments.max_num_tokens)]
    flags += ["--max_seq_len", str(arguments.max_seq_len)]
    return [*flags, "--kv_cache_free_gpu_mem_fraction", str(FREE_GPU_MEMORY_FRACTION)]


def _serving_bench(context: ExportContext) -> tuple[list[str], str]:
    knobs = context.trial.configuration
    (input_mean, input_stdev), (output_mean, output_stdev) = (moments(context, side) for side in ("input", "output"))
    # A uniform spread of ±r has a standard deviation of r/√3 of the mean; both tools take one ratio for both sides.
    reach = min(0.99, math.sqrt(3) * max(input_stdev / input_mean, output_stdev / output_mean))
    is_vllm = knobs.engine == Engine.VLLM
    scale, ratio = (1.0, reach) if is_vllm else (1 + reach, (1 - reach) / (1 + reach))
    words = ["vllm", "bench", "serve", "--backend", "vllm"] if is_vllm else []
    words = words or ["python3", "-m", "sglang.bench_serving", "--backend", "sglang"]
    words += ["--base-url", '"$url"', "--model", '"$checkpoint"']
    words += ["--dataset-name", "random" if is_vllm else "random-ids"]
    words += ["--random-input-len", str(round(input_mean * scale))]
    words += ["--random-output-len", str(round(output_mean * scale)), "--random-range-ratio", f"{ratio:.4g}"]
    words += ["--num-prompts", '"$requests"', *_load_flags(context, knobs), "--seed", str(context.spec.seed)]
    if is_vllm:
        words += ["--ignore-eos", "--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,90,95,99"]
        words += ["--save-result", "--result-filename", '"$report"']
    else:
        words += ["--output-file", '"$report"']
    notes = [checkpoint_of(context).note, ""]
    notes += ["Start the engine with serve.sh first. URL (one replica), REQUESTS and REPORT may be set outside."]
    if reach:
        notes.append("The spread of the lengths is approximated by a uniform one, the same for prompts and outputs.")
    if context.spec.workload.burstiness != 1.0:
        notes.append("The arrivals are approximated by a Poisson process of the same mean rate.")
    if context.spec.workload.shared_prefix:
        notes.append(
            "Its prompts have nothing in common, and the job's do: `paretune measure --shared-prefix` loads it so."
        )
    body = 'url="${URL:-http://localhost:8000}"\nrm -f "$report"\n' + command(words) + "\n"
    return notes, _requests(context) + body + _CHECK_REPORT


def _load_flags(context: ExportContext, knobs: Configuration) -> list[str]:
    rate = context.spec.workload.request_rate
    if rate is not None:
        return ["--request-rate", f"{rate / knobs.replicas:.6g}"]
    return ["--max-concurrency", str(knobs.concurrency)]


def _load_notes(context: ExportContext, tool: str) -> list[str]:
    workload, notes = context.spec.workload, []
    if workload.request_rate is not None:
        notes.append(
            f"{tool} cannot pace arrivals: it keeps {context.trial.configuration.concurrency} in flight instead."
        )
    if any(isinstance(length, TraceLength) for length in (workload.input_tokens, workload.output_tokens)):
        notes.append("The lengths of the trace are approximated by a normal distribution with its mean and spread.")
    return notes
