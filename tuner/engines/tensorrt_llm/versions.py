"""What differs between the versions of TensorRT-LLM that paretune drives."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tuner.engines.tensorrt_llm.arguments import TrtllmArguments
from tuner.engines.tensorrt_llm.arguments_1_3 import TrtllmArguments13


@dataclass(frozen=True, slots=True)
class Generation:
    """A minor version: its arguments, and how its programs behave.

    `flags_win`: a flag on the command line beats the same field of the YAML; before, the YAML wins in silence (pull
    request 14812). `has_tensorrt_backend`: the legacy backend of built engines is still there. `names_served_model`:
    `trtllm-serve` takes `--served_model_name` (pull request 11711, 1.3.0rc7).
    """

    name: str
    arguments: type[TrtllmArguments]
    flags_win: bool
    has_tensorrt_backend: bool
    names_served_model: bool


GENERATIONS: Final[Mapping[str, Generation]] = {
    "1.2": Generation("1.2", TrtllmArguments, flags_win=False, has_tensorrt_backend=True, names_served_model=False),
    "1.3": Generation("1.3", TrtllmArguments13, flags_win=True, has_tensorrt_backend=False, names_served_model=True),
}
"""The versions by major and minor number, oldest first."""

_NUMBER: Final = re.compile(r"(\d+)\.(\d+)")


def generation_of(version: str) -> Generation:
    """The nearest known version: an older or an unknown one counts as the oldest, a newer one as the newest."""
    found = _NUMBER.match(version)
    if found is None:
        return GENERATIONS["1.2"]
    return GENERATIONS["1.3" if (int(found[1]), int(found[2])) >= (1, 3) else "1.2"]
