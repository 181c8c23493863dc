"""What the scripts do when they run: which engine is called how, on which GPUs, and when they stop."""

import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tuner.engines.tensorrt_llm import parse_arguments
from tuner.errors import ExportError
from tuner.exports import ExportContext, export

MakeContext = Callable[..., ExportContext]
RunScript = Callable[..., subprocess.CompletedProcess[str]]


def calls(folder: Path) -> list[list[str]]:
    return sorted(line.split("|") for line in (folder / "calls").read_text().splitlines())


def test_replicas_have_gpus_and_ports_of_their_own(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path
) -> None:
    """Given three replicas of two GPUs, each is started on its pair and port, with the exported YAML."""
    context = make_context(replicas=3, tensor_parallel=2)
    done = run_script(export("serve-script", context).text, PORT="9000")
    assert [(call[0], call[-1]) for call in calls(tmp_path)] == [("0,1", "9000"), ("2,3", "9001"), ("4,5", "9002")]
    assert calls(tmp_path)[0][1:4] == ["trtllm-serve", "meta-llama/Llama-3.1-8B-Instruct", "--config"]
    assert (tmp_path / "engine.yaml").read_text() == export("trtllm-serve", context).text
    assert parse_arguments(yaml.safe_load((tmp_path / "engine.yaml").read_text())).tensor_parallel_size == 2
    assert "a replica ended with status 0" in done.stderr


def test_the_users_own_gpus_are_taken(make_context: MakeContext, run_script: RunScript, tmp_path: Path) -> None:
    """Given CUDA_VISIBLE_DEVICES and REPLICAS, the script keeps to them."""
    text = export("serve-script", make_context(replicas=4)).text
    run_script(text, CUDA_VISIBLE_DEVICES="5,7", REPLICAS="2")
    assert [call[0] for call in calls(tmp_path)] == ["5", "7"]


def test_too_few_gpus_stop_the_script(make_context: MakeContext, run_script: RunScript, tmp_path: Path) -> None:
    """Given fewer GPUs than needed, nothing starts."""
    done = run_script(export("serve-script", make_context(replicas=4)).text, CUDA_VISIBLE_DEVICES="0")
    assert done.returncode == 1
    assert "names 1 GPUs and 4 are needed" in done.stderr
    assert calls(tmp_path) == []


def test_a_signal_stops_every_replica(make_context: MakeContext, tmp_path: Path) -> None:
    """Given running replicas, when the script is told to stop, they stop and its file is gone."""
    engine = tmp_path / "trtllm-serve"
    engine.write_text(f"#!/usr/bin/env bash\necho $$ >> {tmp_path}/pids\nexec sleep 60\n")
    engine.chmod(0o755)
    script = tmp_path / "serve.sh"
    script.write_text(export("serve-script", make_context(replicas=2)).text)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(["bash", str(script)], env=environment, stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "pids").exists() or len((tmp_path / "pids").read_text().split()) < 2:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 143
    assert not any(Path(f"/proc/{pid}").exists() for pid in (tmp_path / "pids").read_text().split())
    assert list(tmp_path.glob("*.yaml")) == []


def test_nothing_is_left_behind(make_context: MakeContext, run_script: RunScript, tmp_path: Path) -> None:
    """Given a script that has ended, its temporary files are gone."""
    before = {path.name for path in tmp_path.iterdir()} | {"script.sh", "engine.yaml", "bench-report.json"}
    run_script(export("serve-script", make_context()).text)
    run_script(export("bench-script", make_context()).text, WRITE_REPORT="1")
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["serve-script", "bench-script"])
def test_the_wrong_precision_is_never_served(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path, name: str
) -> None:
    """Given weights that the model's checkpoint does not hold, the script demands one that does."""
    text = export(name, make_context(weights="fp8")).text
    assert "NOT meta-llama/Llama-3.1-8B-Instruct itself but the same model with fp8 weights" in text
    done = run_script(text)
    assert done.returncode != 0
    assert "set MODEL_FP8 to a checkpoint" in done.stderr
    assert calls(tmp_path) == []
    run_script(text, MODEL_FP8="/models/llama fp8", WRITE_REPORT="1")
    assert "/models/llama fp8" in calls(tmp_path)[0]


def test_a_power_limit_is_demanded_not_set(make_context: MakeContext, run_script: RunScript, tmp_path: Path) -> None:
    """Given a power limit that a GPU does not have, the script says how to set it, and starts nothing."""
    smi = tmp_path / "tools" / "nvidia-smi"
    smi.write_text("#!/usr/bin/env bash\necho 700.00\n")
    smi.chmod(0o755)
    done = run_script(export("serve-script", make_context(power_limit_watts=400)).text)
    assert done.returncode == 1
    assert "sudo nvidia-smi --id=0 --power-limit=400" in done.stderr
    assert calls(tmp_path) == []


def test_trtllm_bench_gets_the_jobs_workload(make_context: MakeContext, run_script: RunScript, tmp_path: Path) -> None:
    """Given lengths with a spread, the dataset has them, and the load is that of one replica."""
    workload = {"input_tokens": {"mean": 1000, "stdev": 100.4}, "output_tokens": 200, "concurrency": 64}
    context = make_context({"workload": workload}, tensor_parallel=2, concurrency=32, replicas=2)
    done = run_script(export("bench-script", context).text, WRITE_REPORT="1", CUDA_VISIBLE_DEVICES="3,4,5")
    dataset, run = sorted(calls(tmp_path), key=lambda call: "throughput" in call)
    assert dataset[0] == "3,4"
    assert dataset[2:5] == ["--model", "meta-llama/Llama-3.1-8B-Instruct", "prepare-dataset"]
    for flag, value in {
        "--input-mean": "1000",
        "--input-stdev": "100",
        "--output-mean": "200",
        "--output-stdev": "0",
    }.items():
        assert dataset[dataset.index(flag) + 1] == value
    assert dataset[dataset.index("--num-requests") + 1] == "320"
    for flag, value in {"--concurrency": "32", "--tp": "2", "--max_batch_size": "32", "--warmup": "64"}.items():
        assert run[run.index(flag) + 1] == value
    assert "--streaming" in run
    assert (tmp_path / "engine.yaml").read_text() == export("trtllm-serve", context).text
    assert done.returncode == 0


def test_a_missing_report_is_a_failure(make_context: MakeContext, run_script: RunScript) -> None:
    """Given a benchmark that ends well and writes no report, the script fails."""
    done = run_script(export("bench-script", make_context()).text)
    assert done.returncode == 1
    assert "no report was written" in done.stderr


def test_a_local_checkpoint_is_given_as_a_path_too(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path
) -> None:
    """Given a checkpoint directory, trtllm-bench does not look for it on the hub."""
    checkpoint = tmp_path / "tools"
    run_script(export("bench-script", make_context(weights="fp8")).text, MODEL_FP8=str(checkpoint), WRITE_REPORT="1")
    assert calls(tmp_path)[0][2:6] == ["--model", str(checkpoint), "--model_path", str(checkpoint)]


def flags(folder: Path) -> dict[str, str]:
    (call,) = calls(folder)
    return {word: call[place + 1] if place + 1 < len(call) else "" for place, word in enumerate(call) if "--" in word}


def test_vllm_gets_a_flag_for_each_knob(make_context: MakeContext, run_script: RunScript, tmp_path: Path) -> None:
    """Given a vLLM trial with data-parallel attention, its flags say what the knobs say."""
    spec = {"model": "Qwen/Qwen3-30B-A3B"}
    knobs = {"tensor_parallel": 4, "expert_parallel": 4, "attention_dp": True, "kv_cache": "fp8", "cuda_graphs": False}
    run_script(export("serve-script", make_context(spec, engine="vllm", **knobs)).text)
    given = flags(tmp_path)
    assert {flag: given[flag] for flag in list(given) if flag.startswith(("--tensor", "--data", "--max", "--kv"))} == {
        "--tensor-parallel-size": "1",
        "--data-parallel-size": "4",
        "--max-num-seqs": "16",
        "--max-num-batched-tokens": "8192",
        "--max-model-len": str(1024 + 256 + 64),
        "--kv-cache-dtype": "fp8",
    }
    assert {"--enable-expert-parallel", "--no-enable-chunked-prefill", "--enforce-eager"} <= given.keys()


def test_sglang_gets_a_flag_for_each_knob(make_context: MakeContext, run_script: RunScript, tmp_path: Path) -> None:
    """Given an SGLang trial with data-parallel attention, limits are those of all ranks together."""
    spec = {"model": "Qwen/Qwen3-30B-A3B"}
    knobs = {
        "tensor_parallel": 4,
        "expert_parallel": 2,
        "attention_dp": True,
        "kv_cache": "fp8",
        "chunked_prefill": True,
    }
    run_script(export("serve-script", make_context(spec, engine="sglang", moe_backend="triton", **knobs)).text)
    given = flags(tmp_path)
    expected = {
        "--tp-size": "4",
        "--dp-size": "4",
        "--ep-size": "2",
        "--max-running-requests": "64",
        "--chunked-prefill-size": str(4 * 8192),
        "--cuda-graph-max-bs": "16",
        "--kv-cache-dtype": "fp8_e4m3",
        "--moe-runner-backend": "triton",
    }
    assert {flag: given[flag] for flag in expected} == expected
    assert "--enable-dp-attention" in given


@pytest.mark.parametrize(
    ("engine", "knobs", "message"),
    [
        ("vllm", {"tensor_parallel": 4, "expert_parallel": 2}, "all ranks or none"),
        ("vllm", {"moe_backend": "triton"}, "moe_backend"),
        ("vllm", {"speculative": "mtp:1"}, "speculative"),
        ("sglang", {"moe_backend": "fast"}, "no MoE runner"),
        ("sglang", {"kv_cache": "nvfp4"}, "kv_cache"),
        ("sglang", {"gpu_memory_utilization": 0.9}, "gpu_memory_utilization"),
        ("llama.cpp", {"kv_cache": "fp8"}, "kv_cache"),
        ("llama.cpp", {"tensor_parallel": 2}, "tensor_parallel"),
        ("tensorrt-llm", {"tensor_parallel": 3}, "tensor_parallel_size"),
    ],
)
def test_a_knob_without_a_flag_is_refused_not_dropped(
    make_context: MakeContext, engine: str, knobs: dict[str, object], message: str
) -> None:
    """Given a knob that the engine has no flag for, no script is written."""
    with pytest.raises(ExportError, match=message):
        export("serve-script", make_context({"model": "Qwen/Qwen3-30B-A3B"}, engine=engine, **knobs))


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("vllm", {"--random-input-len": "1000", "--random-range-ratio": "0.1732", "--request-rate": "2.5"}),
        ("sglang", {"--random-input-len": "1173", "--random-range-ratio": "0.7047", "--request-rate": "2.5"}),
    ],
)
def test_serving_benchmarks_get_the_jobs_workload(
    make_context: MakeContext, run_script: RunScript, tmp_path: Path, engine: str, expected: dict[str, str]
) -> None:
    """Given a rate over two replicas and a spread, one replica gets half the rate, and a uniform spread as wide."""
    workload = {"input_tokens": {"mean": 1000, "stdev": 100}, "output_tokens": 200, "request_rate": 5}
    run_script(export("bench-script", make_context({"workload": workload}, engine=engine, replicas=2)).text)
    given = flags(tmp_path)
    assert {flag: given[flag] for flag in expected} == expected
    assert "--max-concurrency" not in given


def test_a_trace_gives_its_moments(make_context: MakeContext, tmp_path: Path) -> None:
    """Given lengths from a trace, the benchmark has their mean and spread, and says so; a lost trace is an error."""
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"input_tokens": 100, "output_tokens": 10}\n{"input_tokens": 300, "output_tokens": 10}\n')
    workload = {"input_tokens": {"trace": str(trace)}, "output_tokens": {"trace": str(trace)}, "concurrency": 8}
    text = export("bench-script", make_context({"workload": workload})).text
    assert "--input-mean 200" in text
    assert "--input-stdev 100" in text
    assert "approximated by a normal distribution" in text
    lost = {**workload, "input_tokens": {"trace": str(tmp_path / "lost.jsonl")}}
    with pytest.raises(ExportError, match=r"cannot read .*lost\.jsonl"):
        export("trtllm-serve", make_context({"workload": lost}))


def test_an_unknown_model_is_taken_for_bfloat16(make_context: MakeContext) -> None:
    """Given a model that only the engine knows, its own checkpoint serves bfloat16 alone."""
    context = make_context({"model": "someone/something"})
    assert "checkpoint=someone/something" in export("serve-script", context).text
    quantised = dataclasses.replace(context.trial.configuration, weights="int4_awq")
    other = dataclasses.replace(context, trial=dataclasses.replace(context.trial, configuration=quantised))
    assert "MODEL_INT4_AWQ" in export("serve-script", other).text
