"""What makes two measuring jobs the same: then one goes on where the other was cut short."""

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tuner.spec_workload import TraceLength

if TYPE_CHECKING:
    from tuner.spec import JobSpec

DIGEST_LENGTH: Final = 32
_INSTALLED: Final = ("paretune", "xllamacpp", "vllm", "sglang")
_OF_ENGINES: Final = "PARETUNE_TRTLLM_"
"""Settings that say which TensorRT-LLM is started."""


def digest_of(spec: "JobSpec") -> str:
    """A key of the spec, of the files that it names, of what measures it, and of the machine.

    Files count by size and time of change: reading a model of 100 GB would take minutes.
    """
    from tuner.evaluators.machine import machine

    parts = {
        "spec": spec.model_dump(mode="json"),
        "files": [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in _files(spec)],
        "machine": {name: value for name, value in machine().items() if name != "host"},
        "installed": [version for name in _INSTALLED if (version := _version(name)) is not None],
        "settings": {name: value for name, value in sorted(os.environ.items()) if name.startswith(_OF_ENGINES)},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]


def _files(spec: "JobSpec") -> Iterator[Path]:
    """The traces, and the model's files where it is named by its place."""
    lengths = (spec.workload.input_tokens, spec.workload.output_tokens)
    named = [Path(length.trace) for length in lengths if isinstance(length, TraceLength)]
    model = Path(spec.model).expanduser()
    for path in (*named, *(sorted(model.iterdir()) if model.is_dir() else [model])):
        if path.is_file():
            yield path


def _version(package: str) -> str | None:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return None
