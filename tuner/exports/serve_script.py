"""`serve-script`: a bash script that starts every replica on its own GPUs and port, and stops them together."""

from typing import Final

from tuner.exports.base import ExportContext, ExportFile, deployable
from tuner.exports.checkpoint import checkpoint_of
from tuner.exports.head import comment, head
from tuner.exports.launch import launch_words
from tuner.exports.shell import SHEBANG, STRICT, command, gpu_list, here_document
from tuner.exports.trtllm_serve import engine_yaml
from tuner.spec import Engine

FILE_NAME: Final = "serve.sh"

_USE: Final = [
    "",
    "Replica i listens on PORT + i. HOST, PORT, REPLICAS and CUDA_VISIBLE_DEVICES may be set outside; on several nodes",
    "run it on each with its share of REPLICAS.",
]
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
  devices="$(IFS=,; echo "${gpus[*]:replica * gpus_per_replica:gpus_per_replica}")"
  serve &
  pids+=("$!")
  echo "replica $replica: http://$host:$port on GPUs $devices" >&2
done
status=0
wait -n || status=$?
echo "a replica ended with status $status; stopping all" >&2
exit "$status"
"""


def write(context: ExportContext) -> ExportFile:
    """The script, whole in itself: TensorRT-LLM's YAML is inside it."""
    deployable(context)
    configuration, checkpoint = context.trial.configuration, checkpoint_of(context)
    words = launch_words(context)
    is_trtllm = configuration.engine == Engine.TENSORRT_LLM
    parts = [
        SHEBANG + comment([*head(context, "starts the deployment"), checkpoint.note, *_USE]),
        STRICT,
        checkpoint.shell()
        + 'host="${HOST:-localhost}"\n'
        + 'first_port="${PORT:-8000}"\n'
        + f'replicas="${{REPLICAS:-{configuration.replicas}}}"\n'
        + gpu_list(configuration),
        _STOP % ('  rm -f "$config"\n' if is_trtllm else ""),
    ]
    if is_trtllm:
        parts[-1] = 'config="$(mktemp --suffix=.yaml)"\n' + parts[-1] + here_document('"$config"', engine_yaml(context))
    parts.append(f'serve() {{\n  export CUDA_VISIBLE_DEVICES="$devices"\n  exec {command(words, "  ")}\n}}\n')
    parts.append(_START)
    return ExportFile(FILE_NAME, "text/x-shellscript", "\n".join(parts))
