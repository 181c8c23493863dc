"""The benchmark of engines that bring none: `paretune measure`, the client that the trial was measured with."""

import shlex
from typing import Final

from tuner.errors import ExportError, SpecError
from tuner.exports.base import ExportContext, moments
from tuner.exports.launch import default_host
from tuner.exports.served_model import known_name
from tuner.exports.shell import command
from tuner.space.lengths import offered_rate

_CLIENT: Final = """\
if ! command -v paretune > /dev/null; then
  echo "paretune is not on PATH, and it is the client; install it, or in a clone: uv run bash bench.sh" >&2
  exit 1
fi
rm -f "$report"
"""
_KEEP: Final = """\
printf '%s\\n' "$measured" > "$report"
echo "report: $report" >&2
"""


def load_bench(context: ExportContext) -> tuple[list[str], str]:
    """Lines for the head, and the script's body; it sets `report` before."""
    spec, knobs = context.spec, context.trial.configuration
    (input_mean, input_stdev), (output_mean, output_stdev) = (moments(context, side) for side in ("input", "output"))
    words = ["paretune", "measure", "--url", '"$url"', "--model", '"$model"']
    words += ["--input-tokens", str(max(1, round(input_mean))), "--output-tokens", str(max(1, round(output_mean)))]
    if spec.workload.shared_prefix:
        words += ["--shared-prefix", f"{spec.workload.shared_prefix:g}"]
    words += [*_load_flags(context), "--seconds", '"$seconds"', "--precision", f"{spec.measuring.precision:g}"]
    words += ["--gpus", str(knobs.gpus_per_replica), "--seed", str(spec.seed), "--json"]
    body = (
        f'url="${{URL:-http://{default_host(knobs)}:8000}}"\n'
        + f"model={shlex.quote(known_name(context))}\n"
        + f'seconds="${{LOAD_SECONDS:-{spec.measuring.seconds:g}}}"\n'
        + _CLIENT
        + f'measured="$({command(words)})"\n'
        + _KEEP
    )
    return [*_notes(context, spread=bool(input_stdev or output_stdev))], body


def _load_flags(context: ExportContext) -> list[str]:
    knobs = context.trial.configuration
    try:
        rate = offered_rate(context.spec.workload)
    except SpecError as error:
        raise ExportError(f"the arrivals of the workload are not known: {error}") from None
    if rate is not None:
        burstiness = context.spec.workload.burstiness
        shape = [] if burstiness == 1.0 else ["--burstiness", str(burstiness)]
        return ["--request-rate", f"{rate / knobs.replicas:.6g}", *shape]
    return ["--concurrency", str(knobs.concurrency)]


def _notes(context: ExportContext, *, spread: bool) -> list[str]:
    workload = context.spec.workload
    notes = [
        "",
        "Start the engine with serve.sh first. URL (one replica), LOAD_SECONDS and REPORT may be set outside.",
        "The client is the one that measured the trial; its report has the same metrics but for cost, which is",
        "dollars for an hour of the machine / (3600 x output_tokens_per_second_per_gpu) x 10^6.",
    ]
    if spread:
        notes.append("Lengths are approximated by their means: every request is as long as the mean one.")
    if workload.is_open and workload.request_rate is None:
        notes.append("The arrivals of the trace are approximated by a Poisson process of the same mean rate.")
    if context.trial.configuration.replicas > 1:
        notes.append("It loads one replica with its share; requests_per_second of the trial is that of all replicas.")
    return notes
