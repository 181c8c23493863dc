"""Pieces of bash that the scripts are put together from."""

from collections.abc import Sequence
from typing import Final

from tuner.configuration import Configuration

SHEBANG: Final = "#!/usr/bin/env bash\n"
STRICT: Final = "set -euo pipefail\n"
_END_OF_FILE: Final = "PARETUNE_END_OF_FILE"


def command(words: Sequence[str], indent: str = "") -> str:
    """A command over several lines, from words that are already quoted for the shell; a flag keeps its value."""
    lines: list[list[str]] = []
    for place, word in enumerate(words):
        if place == 0 or word.startswith("--"):
            lines.append([word])
        else:
            lines[-1].append(word)
    return f" \\\n{indent}  ".join(" ".join(line) for line in lines)


def here_document(target: str, text: str) -> str:
    """Writes `text` as it is, with nothing expanded, to the file that the quoted word `target` names."""
    return f"cat > {target} <<'{_END_OF_FILE}'\n{text}{_END_OF_FILE}\n"


def gpu_list(configuration: Configuration) -> str:
    """Sets the array `gpus` from CUDA_VISIBLE_DEVICES, or counts from 0; stops when there are too few."""
    return (
        f"gpus_per_replica={configuration.gpus_per_replica}\n"
        "needed=$((replicas * gpus_per_replica))\n"
        'IFS=, read -r -a gpus <<< "${CUDA_VISIBLE_DEVICES:-$(seq -s, 0 $((needed - 1)))}"\n'
        "if ((${#gpus[@]} < needed)); then\n"
        '  echo "CUDA_VISIBLE_DEVICES names ${#gpus[@]} GPUs and $needed are needed; set REPLICAS lower or name more" >&2\n'
        "  exit 1\n"
        "fi\n" + _power(configuration)
    )


def _power(configuration: Configuration) -> str:
    """Holds the GPUs against the power limit of the trial, and names the clock to lock; changes neither."""
    text = ""
    if (watts := configuration.power_limit_watts) is not None:
        text += (
            'for gpu in "${gpus[@]:0:needed}"; do\n'
            '  limit="$(nvidia-smi --id="$gpu" --query-gpu=power.limit --format=csv,noheader,nounits)"\n'
            f'  if [[ "${{limit%%.*}}" != {watts} ]]; then\n'
            f'    echo "GPU $gpu is limited to $limit W, not {watts}: sudo nvidia-smi --id=$gpu --power-limit={watts}" >&2\n'
            "    exit 1\n"
            "  fi\n"
            "done\n"
        )
    if (clock := configuration.gpu_clock_mhz) is not None:
        text += f'echo "the figures hold at {clock} MHz: sudo nvidia-smi --lock-gpu-clocks={clock},{clock}" >&2\n'
    return text
