"""A job with a trial to export, and engines that only say how they were called."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tuner.configuration import Configuration
from tuner.exports import ExportContext
from tuner.metrics import Provenance
from tuner.spec import parse_spec
from tuner.trial import Trial, TrialState

SPEC = {
    "name": "chat",
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "hardware": {"gpu": "h100_sxm", "gpus": 8},
    "workload": {"input_tokens": 1024, "output_tokens": 256, "concurrency": "auto"},
}
METRICS = {"tpot_mean_ms": 9.8125, "cost_usd_per_million_output_tokens": 0.11, "requests_per_second": 12.0}
STARTED: dict[str, object] = {"evaluator": "measure", "pricing": {"gpu_hour_usd": 1.0}}
"""Fields of a job whose engine paretune starts and measures."""
COMMAND: dict[str, object] = {
    "engine": "command",
    "evaluator": "measure",
    "command": {
        "arguments": ["my-server", "{model}", "--listen={host}:{port}", "--kernel", "{kernel}", "--fast={fast}"],
        "environment": {"MY_MODE": "two words"},
        "knobs": {"kernel": ["quick one", "exact"], "fast": [True]},
    },
}
PROVENANCE = {
    "tpot_mean_ms": Provenance.SIMULATED,
    "cost_usd_per_million_output_tokens": Provenance.SIMULATED,
    "requests_per_second": Provenance.MODELLED,
}

MakeContext = Callable[..., ExportContext]
RunScript = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def make_context() -> MakeContext:
    """A context: knobs by name, the engines' own ones too, and fields of the spec as `spec`."""

    def make(spec: Mapping[str, object] | None = None, **knobs: object) -> ExportContext:
        plain = {"engine": "tensorrt-llm", "gpu": "h100_sxm", "concurrency": 64}
        configuration = Configuration.from_dict({**plain, **knobs})  # type: ignore[dict-item]
        trial = Trial(12, configuration, TrialState.COMPLETE, METRICS, PROVENANCE)
        return ExportContext("job-7", parse_spec({**SPEC, **(spec or {})}), trial, "cheapest")

    return make


@pytest.fixture
def run_script(tmp_path: Path) -> RunScript:
    """Runs a script with stand-ins for the engines on its path; each call of one is a line in `calls`."""
    tools = tmp_path / "tools"
    tools.mkdir()
    calls = tmp_path / "calls"
    calls.touch()
    recorder = (
        "#!/usr/bin/env bash\n"
        'line="${CUDA_VISIBLE_DEVICES:-}|$(basename "$0")"\n'
        'for word in "$@"; do line+="|$word"; done\n'
        f'printf "%s\\n" "$line" >> {calls}\n'  # at once: replicas write side by side
        'for word in "$@"; do\n'
        f'  if [[ "$word" == *.yaml ]]; then cp "$word" {tmp_path}/engine.yaml; fi\n'
        '  if [[ "${previous:-}" == --report_json && -n "${WRITE_REPORT:-}" ]]; then echo "{}" > "$word"; fi\n'
        '  previous="$word"\n'
        "done\n"
        'if [[ "$(basename "$0")" == paretune ]]; then echo "${PARETUNE_SAYS:-}"; fi\n'
        "sleep 0.3\n"
    )
    for name in ("trtllm-serve", "trtllm-bench", "vllm", "python3", "paretune", "llama-server", "my-server"):
        (tools / name).write_text(recorder)
        (tools / name).chmod(0o755)

    def run(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "script.sh"
        script.write_text(text)
        inherited = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
        bash = shutil.which("bash")
        assert bash is not None
        return subprocess.run(
            [bash, str(script)],
            env={**inherited, **environment},
            cwd=tmp_path,
            text=True,
            capture_output=True,
            timeout=30,
            check=False,
        )

    return run
