"""Writes what the code knows better than any hand: docs/openapi.json, docs/reference/*.md, the routes in docs/api.md.

Run `uv run python docs/generate.py` after a change; `--check` writes nothing and exits 1 when a file is stale.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from service.app import create_app  # noqa: E402
from service.settings import Settings  # noqa: E402
from tuner.configuration import KNOBS, Configuration  # noqa: E402
from tuner.economics.cost import COST, COST_OF_ALL, ENERGY  # noqa: E402
from tuner.metrics import METRICS, Objective, Provenance  # noqa: E402
from tuner.space.build import BATCH_CEILINGS, CONCURRENCIES, TOKEN_BUDGETS, WIDTHS  # noqa: E402
from tuner.space.precision import KV_CACHES, WEIGHTS  # noqa: E402

NOTE: Final = "<!-- Written by docs/generate.py. Do not edit: change the code, and run it again. -->\n\n"
HELP_COLUMNS: Final = 100
ROUTES_BEGIN: Final = "<!-- routes: written by docs/generate.py -->"
ROUTES_END: Final = "<!-- end of routes -->"
METHODS: Final = ("get", "post", "put", "patch", "delete")


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)


KNOB_MEANINGS: Final[Mapping[str, tuple[str, str]]] = {
    "engine": ("inference engine", "those named in `engine`"),
    "gpu": ("GPU type", "those named in `hardware.gpu`"),
    "replicas": (
        "equal copies of the engine that share the traffic",
        "as many as `hardware.gpus` holds; with a given load also each power of two below",
    ),
    "tensor_parallel": ("GPUs that share each layer of a replica", f"{_listed(WIDTHS)}, where it divides the heads"),
    "pipeline_parallel": (
        "stages that the layers of a replica are cut into",
        f"{_listed(WIDTHS)}, where it divides the layers",
    ),
    "expert_parallel": (
        "groups that the experts are spread over; divides `tensor_parallel`",
        f"{_listed(WIDTHS)} on mixture-of-experts models, else 1",
    ),
    "attention_dp": (
        "attention whole on each GPU (data parallel), experts still shared; TensorRT-LLM's `enable_attention_dp`",
        "false and true on mixture-of-experts models, else false",
    ),
    "weights": (
        "precision of the weights",
        "the checkpoint's own and every searched one below it that the GPU computes",
    ),
    "kv_cache": ("type of the KV cache", f"{_listed(KV_CACHES)}, as far as the GPU computes them"),
    "max_batch_size": (
        "most requests that the scheduler of one attention rank runs at once",
        f"the requests in flight on a rank; in an open load {_listed(BATCH_CEILINGS)}",
    ),
    "max_num_tokens": (
        "most tokens of one engine step, prompts and answers together",
        f"{_listed(TOKEN_BUDGETS)}, and what one prompt needs; none that would change nothing",
    ),
    "concurrency": (
        "requests in flight per replica, over all its ranks",
        f"{_listed(CONCURRENCIES)} where the job says `auto`",
    ),
    "chunked_prefill": (
        "whether a prompt may be cut and spread over several steps",
        "false and true, where it would cut",
    ),
    "cuda_graphs": ("whether decode steps are launched as CUDA graphs", "true"),
    "moe_backend": ("kernel that computes the experts", "left to the engine"),
    "speculative": ("speculative decoding; only `off` can be simulated", "left out"),
    "power_limit_watts": ("power limit of each board in watts", "left out"),
    "gpu_clock_mhz": ("locked SM clock in MHz", "left out"),
    "options": ("knobs that the engine alone has, by name", "left out"),
}
"""What each knob means, and which values are searched when the spec does not name any."""

PROVENANCES: Final[Mapping[Provenance, str]] = {
    Provenance.MEASURED: "measured on the engine itself",
    Provenance.CALIBRATED: "simulated, then corrected by measurements",
    Provenance.SIMULATED: "computed from kernel times that NVIDIA measured",
    Provenance.MODELLED: "computed by an analytic model, or derived from a figure that was",
}

CLI_VARIABLES: Final[Mapping[str, tuple[str, str]]] = {
    "PARETUNE_URL": (
        "`http://127.0.0.1:8321`",
        "service that `submit`, `status`, `frontier`, `export`, `cancel`, `jobs` use",
    ),
    "PARETUNE_ENGINE_API_KEY": ("not set", "key that `measure` sends to the engine"),
    "PARETUNE_DEBUG": ("not set", "set to anything: a command that fails unexpectedly prints its traceback"),
}
"""Variables that the command line reads beside the settings of the service."""


def documents() -> dict[Path, str]:
    """Every generated file by its path in the repository."""
    openapi = _openapi()
    api = ROOT / "docs" / "api.md"
    return {
        ROOT / "docs" / "openapi.json": json.dumps(openapi, indent=2, ensure_ascii=False) + "\n",
        ROOT / "docs" / "reference" / "knobs.md": NOTE + _knobs(),
        ROOT / "docs" / "reference" / "metrics.md": NOTE + _metrics(),
        ROOT / "docs" / "reference" / "settings.md": NOTE + _settings(),
        ROOT / "docs" / "reference" / "cli.md": NOTE + _cli(),
        api: _between(api.read_text(encoding="utf-8"), ROUTES_BEGIN, ROUTES_END, _routes(openapi)),
    }


def _openapi() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return create_app(Settings(data_dir=Path(folder))).openapi()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _between(text: str, begin: str, end: str, content: str) -> str:
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{content}{end}{after}"


def _knobs() -> str:
    rows = []
    for field in fields(Configuration):
        if field.name not in KNOBS:
            continue
        meaning, searched = KNOB_MEANINGS[field.name]
        default = "" if field.name in ("engine", "gpu", "options") else _value(field.name, field.default)
        rows.append((f"`{field.name}`", default, meaning, searched))
    precisions = [
        (
            f"`{p.name}`",
            f"{p.bits:g}",
            _capability(p.compute_capability),
            "yes" if p.searched else "as the checkpoint is",
        )
        for p in WEIGHTS.values()
    ]
    return (
        "# Knobs\n\n"
        "The keys of a configuration. A replica has `tensor_parallel × pipeline_parallel` GPUs. The default is what the\n"
        "engine does when a knob is not set; the last column is what a job searches when its `space` does not name the\n"
        "knob.\n\n"
        + _table(("knob", "default", "meaning", "searched by default"), rows)
        + "\n## Precisions of the weights\n\n"
        + _table(("name", "bits a weight", "computed by", "searched by default"), precisions)
    )


def _capability(compute_capability: int) -> str:
    names = {80: "Ampere", 89: "Ada", 90: "Hopper", 100: "Blackwell"}
    return f"{names[compute_capability]} and newer"


def _value(knob: str, default: object) -> str:
    if default is None:
        return "the board's own" if knob in ("power_limit_watts", "gpu_clock_mhz") else "the engine's own"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _metrics() -> str:
    rows = [(f"`{m.key}`", m.unit, m.direction.value, m.kind.value, m.meaning) for m in METRICS.values()]
    objectives = [(f"`{objective.value}`", f"`{objective.metric}`") for objective in Objective]
    derived = _listed(f"`{key}`" for key in (ENERGY, COST, COST_OF_ALL))
    return (
        "# Metrics\n\n"
        "The keys of a trial's figures, with the unit in the name. A figure that is not known is absent, never 0.\n\n"
        + _table(("metric", "unit", "better", "kind", "meaning"), rows)
        + f"\n{derived} and carbon follow from throughput, power and prices: see [money and power](../money-and-power.md).\n"
        + "\n## Objectives\n\n"
        + _table(("objective", "metric that it minimises"), objectives)
        + "\n## Provenance\n\nEvery figure says where it comes from; a derived figure is of the weakest provenance of its\n"
        "inputs. From the strongest to the weakest:\n\n"
        + _table(("provenance", "meaning"), [(f"`{p.value}`", PROVENANCES[p]) for p in Provenance])
    )


def _settings() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        default = "the platform's folder for user data" if field.default_factory else _setting_default(field.default)
        rows.append((f"`PARETUNE_{name.upper()}`", default, field.description or ""))
    others = [(f"`{name}`", *words) for name, words in CLI_VARIABLES.items()]
    return (
        "# Settings\n\nEnvironment variables, read once as a process starts.\n\n## Service and worker\n\n"
        + _table(("variable", "default", "meaning"), rows)
        + "\n`paretune tune` ignores them, but for those of engines, artefacts and measurements: its embedded service has a "
        "folder of its own. A job that starts engines keeps what it measured under `PARETUNE_DATA_DIR`.\n\n## Command line\n\n"
        + _table(("variable", "default", "meaning"), others)
    )


def _setting_default(default: object) -> str:
    if default is None or default == "":
        return "not set"
    return f"`{getattr(default, 'value', default)}`"


def _cli() -> str:
    os.environ.update(TERMINAL_WIDTH=str(HELP_COLUMNS), COLUMNS=str(HELP_COLUMNS))
    import typer.main

    from service.cli.app import app
    from service.cli.errors import ExitCode

    sections = [
        f"## `{path}`\n\n```text\n{text}\n```\n" for path, text in _helps(typer.main.get_command(app), "paretune")
    ]
    meanings = {
        ExitCode.DONE: "done",
        ExitCode.FAILED: "anything else",
        ExitCode.BAD_USAGE: "bad usage or bad spec",
        ExitCode.NO_FEASIBLE: "no feasible configuration",
        ExitCode.NOT_REACHABLE: "service not reachable",
    }
    codes = _table(("exit code", "meaning"), [(str(code.value), meanings[code]) for code in ExitCode])
    return (
        "# Command line\n\nErrors go to standard error, one line each, with what is wrong and how to mend it.\n\n"
        + codes
        + "\n"
        + "\n".join(sections)
    )


def _helps(command: Any, path: str) -> Iterator[tuple[str, str]]:
    context = command.make_context(path, [], resilient_parsing=True, terminal_width=HELP_COLUMNS)
    yield path, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    for name, child in getattr(command, "commands", {}).items():
        yield from _helps(child, f"{path} {name}")


def _routes(openapi: Mapping[str, Any]) -> str:
    rows = []
    for path, item in openapi["paths"].items():
        for method in METHODS:
            operation = item.get(method)
            if operation is not None:
                queries = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
                rows.append(
                    (
                        f"`{method.upper()} {path}`",
                        operation["summary"],
                        _listed(f"`{name}`" for name in queries),
                        _listed(operation["responses"]),
                    )
                )
    return "\n" + _table(("call", "what it does", "query", "answers"), rows) + "\n"


def main() -> int:
    """Writes the files, or with `--check` names the stale ones; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is stale")
    check = parser.parse_args().check
    stale = [path for path, text in documents().items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in stale:
        name = path.relative_to(ROOT)
        if check:
            print(f"{name} is stale; run `uv run python docs/generate.py`", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(documents()[path], encoding="utf-8")
            print(f"wrote {name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
