"""Reads a job spec from a file that a user wrote."""

from pathlib import Path

import yaml

from tuner.errors import SpecError
from tuner.spec import JobSpec, Replay, parse_spec
from tuner.spec_workload import TraceLength


def load_spec(path: Path) -> JobSpec:
    """The job spec of a YAML or JSON file; paths inside it count from the file's folder.

    Raises `SpecError` when the file cannot be read, is no YAML, or has a wrong field.
    """
    return _anchored(parse_spec(load_yaml(path)), path.resolve().parent)


def load_yaml(path: Path) -> object:
    """The plain data of a YAML file that a user wrote; raises `SpecError` when it cannot be read or is no YAML."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError.of("", f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise SpecError.of("", f"{path} is not valid YAML: {_one_line(error)}; mend that line") from None


def _anchored(spec: JobSpec, folder: Path) -> JobSpec:
    """The spec with the file paths in it made absolute."""
    changes: dict[str, object] = {}
    if spec.replay is not None:
        changes["replay"] = Replay(table=str(folder / spec.replay.table))
    lengths = {
        side: TraceLength(trace=str(folder / length.trace))
        for side in ("input_tokens", "output_tokens")
        if isinstance(length := getattr(spec.workload, side), TraceLength)
    }
    if lengths:
        changes["workload"] = spec.workload.model_copy(update=lengths)
    if spec.model.startswith((".", "~")) or (folder / spec.model / "config.json").is_file():
        changes["model"] = str((folder / Path(spec.model).expanduser()).resolve())
    return spec.model_copy(update=changes) if changes else spec


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem
