"""What a trial is handed over as: one module per format, one line here for each."""

from collections.abc import Mapping
from typing import Final

from tuner.errors import ExportError
from tuner.exports import bench_script, serve_script, trial_csv, trial_json, trtllm_serve
from tuner.exports.base import ExportContext, ExportFile, Writer
from tuner.exports.launch import LAUNCHED_ENGINES
from tuner.spec import Engine
from tuner.spec_problems import near

__all__ = ["FORMATS", "ExportContext", "ExportFile", "export", "formats_for"]

_WRITERS: Final[Mapping[str, Writer]] = {
    "trtllm-serve": trtllm_serve.write,
    "serve-script": serve_script.write,
    "bench-script": bench_script.write,
    "json": trial_json.write,
    "csv": trial_csv.write,
}
FORMATS: Final = tuple(_WRITERS)
"""Every export format by name."""


def export(format_name: str, context: ExportContext) -> ExportFile:
    """The trial in that format; raises `ExportError` for an unknown format, or a trial it cannot be written for."""
    writer = _WRITERS.get(format_name)
    if writer is None:
        raise ExportError(f"{format_name!r} is no export format; {_hint(format_name)}")
    return writer(context)


def formats_for(engine: str) -> tuple[str, ...]:
    """The formats that a trial of that engine can be written in."""
    yaml = ("trtllm-serve",) if engine == Engine.TENSORRT_LLM else ()
    scripts = ("serve-script", "bench-script") if engine in LAUNCHED_ENGINES else ()
    return (*yaml, *scripts, "json", "csv")


def _hint(format_name: str) -> str:
    known, hint = ", ".join(FORMATS), near(format_name, FORMATS)
    return f"{hint} (there are {known})" if hint.startswith("did") else f"there are {known}"
