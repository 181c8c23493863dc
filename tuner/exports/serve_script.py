"""`serve-script`: a bash script that starts every replica on its own GPUs and port, and stops them together."""

from typing import Final

from tuner.configuration import Configuration
from tuner.exports.base import ExportContext, ExportFile, deployable
from tuner.exports.head import comment, head
from tuner.exports.launch import default_host, launch_notes, launch_words
from tuner.exports.served_model import served_model
from tuner.exports.shell import SHEBANG, STRICT, command, gpu_list, here_document
from tuner.exports.trtllm_serve import engine_yaml
from tuner.spec import Engine

FILE_NAME: Final = "serve.sh"
PROCESSOR: Final = "cpu"
"""The `gpu` of a machine without one."""

_USE: Final = [
    "",
    "Replica i listens on PORT + i. HOST, PORT, REPLICAS and CUDA_VISIBLE_DEVICES may be set outside; on several nodes",
    "run it on each with its share of REPLICAS.",
]
_USE_OF_INHERITED: Final = ["", "Replica i listens on PORT + i. HOST, PORT and REPLICAS may be set outside."]
_STOP: Final = """\
pids=()
# shellcheck disable=SC2329 # the traps invoke it
stop() {
  trap - EXIT INT TERM
  if ((${#pids[@]})); then
    kill "${pids[@]}" 2> /dev/null || true
    wait || true
  fi
%s}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"""
_START: Final = """\
for ((replica = 0; replica < replicas; replica++)); do
  port=$((first_port + replica))
%s  serve &
  pids+=("$!")
  echo "replica $replica: http://$host:$port%s" >&2
done
status=0
wait -n || status=$?
echo "a replica ended with status $status; stopping all" >&2
exit "$status"
"""
_SHARE: Final = """\
  devices="$(IFS=,; echo "${gpus[*]:replica * gpus_per_replica:gpus_per_replica}")"
"""


def write(context: ExportContext) -> ExportFile:
    """The script, whole in itself: TensorRT-LLM's YAML is inside it."""
    deployable(context)
    configuration = context.trial.configuration
    words, model = launch_words(context), served_model(context)
    is_trtllm, shares = configuration.engine == Engine.TENSORRT_LLM, _shares_gpus(configuration)
    use = [*launch_notes(context), *(_USE if shares else _USE_OF_INHERITED)]
    parts = [
        SHEBANG + comment([*head(context, "starts the deployment"), *model.notes, *use]),
        STRICT,
        model.shell
        + f'host="${{HOST:-{default_host(configuration)}}}"\n'
        + 'first_port="${PORT:-8000}"\n'
        + f'replicas="${{REPLICAS:-{configuration.replicas}}}"\n'
        + (gpu_list(configuration) if shares else ""),
        _STOP % ('  rm -f "$config"\n' if is_trtllm else ""),
    ]
    if is_trtllm:
        parts[-1] = 'config="$(mktemp --suffix=.yaml)"\n' + parts[-1] + here_document('"$config"', engine_yaml(context))
    visible = '  export CUDA_VISIBLE_DEVICES="$devices"\n' if shares else ""
    parts.append(f"serve() {{\n{visible}  exec {command(words, '  ')}\n}}\n")
    parts.append(_START % ((_SHARE, " on GPUs $devices") if shares else ("", "")))
    return ExportFile(FILE_NAME, "text/x-shellscript", "\n".join(parts))


def _shares_gpus(configuration: Configuration) -> bool:
    """Whether each replica gets GPUs of its own; a single command gets those that it had when it was measured: all."""
    is_whole = configuration.engine == Engine.COMMAND and configuration.replicas == 1
    return configuration.gpu != PROCESSOR and not is_whole
