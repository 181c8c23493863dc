"""Scripts of trials that were measured on an engine that paretune started: they start it and load it the same again."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tuner.exports.conftest import COMMAND, STARTED
from tuner.engines import sglang_flags, vllm_flags
from tuner.engines.base import Artefact, Launch
from tuner.engines.llama_cpp.flags import server_flags
from tuner.exports import ExportContext, export

MakeContext = Callable[..., ExportContext]
RunScript = Callable[..., subprocess.CompletedProcess[str]]

LLAMA = {**STARTED, "engine": "llama.cpp", "model": "smollm2"}
KNOBS = {"gpu": "cpu", "weights": "q8_0", "kv_cache": "f16", "max_batch_size": 2, "max_num_tokens": 512}
OWN = {"threads": 2, "micro_batch": 128, "flash_attention": True}


def calls(folder: Path) -> list[list[str]]:
    return [line.split("|") for line in (folder / "calls").read_text().splitlines()]


def without_ours(folder: Path) -> str:
    """A path with the stand-ins, but without the environment that paretune itself is installed in."""
    return f"{folder / 'tools'}:/usr/local/bin:/usr/bin:/bin"


def launch(context: ExportContext, artefact: Path | None = None) -> Launch:
    """The launch that the measuring loop makes of the trial."""
    lengths = 1024 + 256
    return Launch(context.trial.configuration, Artefact(artefact), lengths, Path("/nowhere"))


def test_llama_cpp_is_told_what_it_was_measured_with(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path
) -> None:
    """Given a trial, the script makes the file of its weights, and starts the wheel's server with the same flags."""
    context = make_context(LLAMA, engine="llama.cpp", **KNOBS, **OWN)
    done = run_script(export("serve-script", context).text, PORT="9000", PARETUNE_SAYS="/models/a b.gguf")
    made, served = (call[1:] for call in calls(tmp_path))
    assert made == ["paretune", "llama-cpp", "weights", "smollm2", "q8_0"]
    assert served[:3] == ["paretune", "llama-cpp", "server"]
    assert tuple(served[3:]) == server_flags("smollm2", launch(context, Path("/models/a b.gguf")), 9000)
    assert "a replica ended with status 0" in done.stderr


def test_a_llama_server_and_a_file_of_the_users_are_taken(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path
) -> None:
    """Given LLAMA_SERVER and a file, they are used; without paretune, llama-server of PATH is."""
    text = export("serve-script", make_context(LLAMA, engine="llama.cpp", **KNOBS, **OWN)).text
    run_script(text, LLAMA_SERVER=str(tmp_path / "tools" / "my-server"), MODEL_Q8_0="/mine.gguf")
    (tmp_path / "tools" / "paretune").unlink()
    run_script(text, MODEL_Q8_0="/mine.gguf", PATH=without_ours(tmp_path))
    assert [call[1:4] for call in calls(tmp_path)] == [
        ["my-server", "--model", "/mine.gguf"],
        ["llama-server", "--model", "/mine.gguf"],
    ]


def test_without_paretune_and_a_file_nothing_starts(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path
) -> None:
    """Given neither, the script says which file is missing."""
    (tmp_path / "tools" / "paretune").unlink()
    text = export("serve-script", make_context(LLAMA, engine="llama.cpp", **KNOBS, **OWN)).text
    done = run_script(text, PATH=without_ours(tmp_path))
    assert done.returncode == 1
    assert "set MODEL_Q8_0 to a GGUF file" in done.stderr
    assert calls(tmp_path) == []


def test_weights_cannot_break_out_of_the_script(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path
) -> None:
    """Given hostile weights, as a replay table may hold them, nothing runs of them, found or missing."""
    hostile = "$(touch pwned)`touch pwned`'\"; touch pwned #"
    text = export("serve-script", make_context(LLAMA, engine="llama.cpp", gpu="cpu", weights=hostile)).text
    run_script(text, PARETUNE_SAYS="/made.gguf")
    assert hostile in calls(tmp_path)[0]
    (tmp_path / "tools" / "paretune").unlink()
    assert run_script(text, PATH=without_ours(tmp_path)).returncode == 1
    assert not (tmp_path / "pwned").exists()


def test_unset_threads_are_those_of_the_machine_that_serves(make_context: MakeContext) -> None:
    """Given a trial that does not say its threads, the script counts the processors where it runs."""
    text = export("serve-script", make_context(LLAMA, engine="llama.cpp", **KNOBS)).text
    assert '--threads "$(nproc)"' in text


def test_a_command_is_started_with_its_words_and_its_environment(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path
) -> None:
    """Given a command with placeholders inside words, host and port are the script's, the rest is as measured."""
    context = make_context(COMMAND, engine="command", gpu="cpu", kernel="quick one", fast=True)
    text = export("serve-script", context).text
    run_script(text, PORT="9000")
    model = "meta-llama/Llama-3.1-8B-Instruct"
    expected = ["my-server", model, "--listen=127.0.0.1:9000", "--kernel", "quick one", "--fast=true"]
    assert [call[1:] for call in calls(tmp_path)] == [expected]
    assert "'MY_MODE=two words'" in text


def test_a_single_command_keeps_all_gpus_and_replicas_share_them(make_context: MakeContext) -> None:
    """Given a command on GPUs, one replica sees those it had when it was measured; several get their own."""
    knobs = {"engine": "command", "kernel": "exact", "fast": True}
    assert "CUDA_VISIBLE_DEVICES" not in export("serve-script", make_context(COMMAND, **knobs)).text
    assert "CUDA_VISIBLE_DEVICES" in export("serve-script", make_context(COMMAND, **knobs, replicas=2)).text


@pytest.mark.parametrize("engine", ["llama.cpp", "command"])
@pytest.mark.parametrize(
    ("workload", "load"),
    [
        ({"input_tokens": 100, "output_tokens": 20, "concurrency": 8}, ["--concurrency", "4"]),
        (
            {"input_tokens": {"mean": 100, "stdev": 9}, "output_tokens": 20, "request_rate": 5},
            ["--request-rate", "2.5"],
        ),
    ],
)
def test_the_client_loads_one_replica_as_it_was_measured(
    make_context: MakeContext,
    run_script: RunScript,
    tmp_path: Path,
    engine: str,
    workload: Mapping[str, object],
    load: list[str],
) -> None:
    """Given a load over two replicas, the client gives one its share, for as long and as exactly as the job did."""
    spec = {**(LLAMA if engine == "llama.cpp" else COMMAND), "workload": workload, "seed": 7}
    spec |= {"measuring": {"seconds": 12.5, "precision": 0.1}}
    context = make_context(spec, engine=engine, gpu="cpu", replicas=2, concurrency=4)
    done = run_script(export("bench-script", context).text, URL="http://there:1", PARETUNE_SAYS='{"metrics": {}}')
    (call,) = calls(tmp_path)
    asked = ["--url", "http://there:1", "--model", context.spec.model, "--input-tokens", "100", "--output-tokens", "20"]
    limits = ["--seconds", "12.5", "--precision", "0.1", "--gpus", "1", "--seed", "7", "--json"]
    assert call[1:] == ["paretune", "measure", *asked, *load, *limits]
    assert (tmp_path / "bench-report.json").read_text() == '{"metrics": {}}\n'
    assert done.returncode == 0


def test_what_the_client_approximates_is_said(make_context: MakeContext, tmp_path: Path) -> None:
    """Given a trace, the head says that lengths are means and arrivals Poisson, at the trace's own rate."""
    trace = tmp_path / "trace.jsonl"
    rows = [f'{{"arrival_seconds": {at}, "input_tokens": {100 + at}, "output_tokens": 10}}' for at in (0, 2, 4)]
    trace.write_text("\n".join(rows))
    lengths = {"trace": str(trace)}
    workload = {"input_tokens": lengths, "output_tokens": lengths}
    text = export("bench-script", make_context({**LLAMA, "workload": workload}, engine="llama.cpp", gpu="cpu")).text
    assert "--request-rate 0.5" in text
    assert "--input-tokens 102" in text
    assert "approximated by their means" in text
    assert "approximated by a Poisson process" in text


def test_a_failed_measurement_leaves_no_report(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path
) -> None:
    """Given a client that fails, the script fails as it does, and an older report is gone."""
    (tmp_path / "tools" / "paretune").write_text("#!/usr/bin/env bash\nexit 4\n")
    (tmp_path / "bench-report.json").write_text("old")
    done = run_script(export("bench-script", make_context(LLAMA, engine="llama.cpp", gpu="cpu")).text)
    assert done.returncode == 4
    assert not (tmp_path / "bench-report.json").exists()


@pytest.mark.parametrize("pooled", [False, True])
def test_the_client_asks_for_the_model_by_the_name_that_the_server_told(
    make_context: MakeContext, pooled: bool
) -> None:
    """Given a command whose server calls its model otherwise, the client does too; repeats tell it as well."""
    facts: dict[str, object] = {"engine": {"served_model": "its own name"}}
    details = {"repeats": [{"details": facts}]} if pooled else facts
    context = make_context(COMMAND, engine="command", gpu="cpu", kernel="exact", fast=True)
    told = replace(context, trial=replace(context.trial, details=details))
    assert "model='its own name'" in export("bench-script", told).text


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("weights", ["bfloat16", "fp8"])
def test_a_measured_server_is_started_with_the_words_it_was_measured_with(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path, engine: str, weights: str
) -> None:
    """Given a trial on the job's own checkpoint, also one quantised as it is loaded, the script says the same words."""
    own = {"gpu_memory_utilization": 0.8, "block_size": 16} if engine == "vllm" else {"page_size": 16}
    spec = {**STARTED, "engine": engine, "model": "some/model"}
    context = make_context(spec, engine=engine, weights=weights, prefix_caching=True, **own)
    run_script(export("serve-script", context).text, PORT="9000", HOST="127.0.0.1")
    flags = vllm_flags if engine == "vllm" else sglang_flags
    program = ["vllm"] if engine == "vllm" else ["python3", "-m", "sglang.launch_server"]
    assert calls(tmp_path) == [["0", *program, *flags.arguments("some/model", launch(context), 9000)]]
    assert ("--quantization" in calls(tmp_path)[0]) is (weights == "fp8")


def test_prompts_are_cached_where_the_measured_ones_began_alike(make_context: MakeContext) -> None:
    """Given a workload whose prompts share their start, the server caches them, as it did; else it says that it does not."""
    workload = {"input_tokens": 100, "output_tokens": 20, "concurrency": 8, "shared_prefix": 0.5}
    sharing = export("serve-script", make_context({**LLAMA, "workload": workload}, engine="llama.cpp", gpu="cpu")).text
    assert "--cache-prompt" in sharing
    assert "Prompts are not cached" not in sharing
    alone = export("serve-script", make_context(LLAMA, engine="llama.cpp", gpu="cpu")).text
    assert "--no-cache-prompt" in alone
    assert "Prompts are not cached" in alone


def test_a_checkpoint_that_holds_its_weights_is_not_quantised_again(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path
) -> None:
    """Given a simulated trial in FP8, its checkpoint is demanded and served as it is, with prompts cached."""
    text = export("serve-script", make_context(engine="vllm", weights="fp8")).text
    run_script(text, MODEL_FP8="/models/fp8")
    (call,) = calls(tmp_path)
    assert call[2:4] == ["serve", "/models/fp8"]
    assert "--quantization" not in call
    assert "--enable-prefix-caching" in call
