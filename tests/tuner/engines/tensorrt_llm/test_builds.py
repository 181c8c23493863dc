"""Checkpoints and engines are made once, whoever asks, and only for what they depend on."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tuner.engines.tensorrt_llm.conftest import INSTALLATION, PLAIN, STANDIN, Order
from tuner.engines.artefact_keys import folder_key
from tuner.engines.errors import BuildError, StartCancelledError
from tuner.engines.served import ledger_of
from tuner.engines.tensorrt_llm.checkpoints import find_checkpoint, held_by
from tuner.engines.tensorrt_llm.engine import TensorrtLlmEngine
from tuner.engines.tensorrt_llm.installation import Installation
from tuner.engines.tensorrt_llm.quantise import build_arguments, convert_arguments, quantise_arguments
from tuner.errors import SpecError

ROOT = Path(__file__).parents[4]
FP8 = replace(PLAIN, weights="fp8")
LEGACY = replace(PLAIN, options=(("backend", "tensorrt"),))
BUILD = """
import sys
from pathlib import Path
from tests.tuner.engines.tensorrt_llm.test_builds import FP8, INSTALLATION
from tuner.engines.tensorrt_llm.engine import TensorrtLlmEngine
artefact = TensorrtLlmEngine(sys.argv[1], Path(sys.argv[2]), INSTALLATION).build(FP8)
print(artefact.was_cached, artefact.path)
"""


@pytest.fixture
def opened(checkpoint: Path, tmp_path: Path, order: Order) -> TensorrtLlmEngine:
    """TensorRT-LLM on a plain checkpoint."""
    return TensorrtLlmEngine(str(checkpoint), tmp_path / "data", INSTALLATION)


def quantised(tmp_path: Path) -> list[str]:
    """What the stand-in was asked to quantise to, in order."""
    log = tmp_path / "data" / "artefacts" / "tensorrt-llm" / "quantised"
    return log.read_text().split() if log.exists() else []


def test_plain_weights_are_the_model_itself(opened: TensorrtLlmEngine, checkpoint: Path) -> None:
    artefact = opened.build(PLAIN)
    assert (artefact.path, artefact.build_seconds) == (checkpoint, None)


def test_a_quantised_checkpoint_is_made_once(opened: TensorrtLlmEngine, tmp_path: Path) -> None:
    first = opened.build(FP8)
    again = opened.build(replace(FP8, tensor_parallel=2, max_num_tokens=8192))
    assert first.path is not None
    assert held_by(first.path) == ("fp8", None)
    assert (first.path, first.was_cached, again.was_cached) == (again.path, False, True)
    assert first.size_bytes > 1000
    assert first.build_seconds == again.build_seconds
    assert quantised(tmp_path) == ["fp8"]
    assert ledger_of(tmp_path / "data").records() == []


def test_a_checkpoint_is_made_on_the_gpus_that_are_lent_for_it(opened: TensorrtLlmEngine, tmp_path: Path) -> None:
    opened.build(FP8, devices=("GPU-1", "GPU-2"))
    [log] = (tmp_path / "data" / "artefacts" / "tensorrt-llm" / "logs").glob("*.log")
    assert "GPUs: GPU-1,GPU-2" in log.read_text()


def test_two_processes_make_a_checkpoint_once(checkpoint: Path, tmp_path: Path, order: Order) -> None:
    order(build_seconds=1.0)
    command = [sys.executable, "-c", BUILD, str(checkpoint), str(tmp_path / "data")]
    both = [subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True) for _ in "ab"]
    said = sorted(str(process.communicate(timeout=60)[0]).split()[0] for process in both)
    assert said == ["False", "True"]
    assert quantised(tmp_path) == ["fp8"]


def test_a_failed_quantisation_says_why_and_leaves_nothing(
    opened: TensorrtLlmEngine, order: Order, tmp_path: Path
) -> None:
    order("failing_build")
    with pytest.raises(BuildError, match=r"exited with status 1: torch.OutOfMemoryError.*its log"):
        opened.build(FP8)
    assert not list((tmp_path / "data" / "artefacts" / "tensorrt-llm").glob("*.fp8*"))
    order()
    assert opened.build(FP8).build_seconds is not None


def test_a_quantisation_can_be_called_off_half_way(opened: TensorrtLlmEngine, order: Order, tmp_path: Path) -> None:
    order(build_seconds=60)
    asked = iter([False, False, False, False, True])
    with pytest.raises(StartCancelledError):
        opened.build(FP8, lambda: next(asked, True))
    assert ledger_of(tmp_path / "data").records() == []


def test_an_engine_is_built_once_for_its_build_time_knobs(opened: TensorrtLlmEngine) -> None:
    first = opened.build(LEGACY)
    assert first.path is not None
    assert (first.path / "engine" / "config.json").is_file()
    run_time = replace(
        LEGACY, options=(("backend", "tensorrt"), ("scheduler_policy", "MAX_UTILIZATION")), concurrency=8
    )
    assert opened.build(run_time).was_cached
    assert not opened.build(replace(LEGACY, tensor_parallel=2)).was_cached


def test_a_built_engine_is_served(opened: TensorrtLlmEngine, tmp_path: Path) -> None:
    from tuner.engines.base import Launch

    with opened.start(Launch(LEGACY, opened.build(LEGACY), 2048, tmp_path / "trial")) as running:
        running.wait_ready()
        assert running.facts()["backend"] == "tensorrt"


def test_the_argument_lists_are_the_documented_ones(tmp_path: Path) -> None:
    script = "/opt/modelopt/hf_ptq.py"
    assert quantise_arguments(script, "org/model", "int4_awq", tmp_path) == (
        *(script, "--pyt_ckpt_path", "org/model", "--qformat", "int4_awq", "--kv_cache_qformat", "none"),
        *("--calib_size", "512", "--export_path", str(tmp_path)),
    )
    converted = convert_arguments("/x", "m", "Qwen3ForCausalLM", replace(PLAIN, tensor_parallel=2), tmp_path)
    assert converted[0] == "/x/models/core/qwen/convert_checkpoint.py"
    assert converted[-4:] == ("--tp_size", "2", "--pp_size", "1")
    calibrated = convert_arguments("/x", "m", "LlamaForCausalLM", replace(FP8, kv_cache="fp8"), tmp_path)
    assert calibrated[0] == "/x/quantization/quantize.py"
    assert calibrated[-2:] == ("--kv_cache_dtype", "fp8")
    built = build_arguments(tmp_path, PLAIN, tmp_path / "e")
    assert built[built.index("--max_batch_size") + 1] == "32"
    with pytest.raises(SpecError, match="converter"):
        convert_arguments("/x", "m", "OddForCausalLM", PLAIN, tmp_path)


@pytest.mark.parametrize(
    ("file", "data", "held"),
    [
        ("hf_quant_config.json", {"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}, ("nvfp4", "fp8")),
        ("hf_quant_config.json", {"quantization": {"quant_algo": "W4A16_AWQ"}}, ("int4_awq", None)),
        ("hf_quant_config.json", {"quantization": {"quant_algo": "fp8_pb_wo"}}, ("fp8_block", None)),
        ("config.json", {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}, ("fp8_block", None)),
        ("config.json", {"quantization_config": {"quant_method": "mxfp4"}}, ("mxfp4", None)),
        ("config.json", {}, ("bfloat16", None)),
    ],
)  # fmt: skip
def test_a_checkpoint_says_what_it_holds(tmp_path: Path, file: str, data: object, held: tuple[str, str | None]) -> None:
    (tmp_path / file).write_text(json.dumps(data))
    assert held_by(tmp_path) == held


def test_a_folder_named_by_a_precision_goes_before_making_it(checkpoint: Path) -> None:
    beside = checkpoint / "fp8"
    beside.mkdir()
    (beside / "config.json").write_text("{}")
    with pytest.raises(SpecError, match="holds bfloat16"):
        find_checkpoint(str(checkpoint), "fp8")
    (beside / "hf_quant_config.json").write_text(json.dumps({"quantization": {"quant_algo": "FP8"}}))
    assert find_checkpoint(str(checkpoint), "fp8").source == beside
    assert find_checkpoint(str(checkpoint), "nvfp4").must_be_made


def test_a_folder_key_is_of_the_content(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(bytes(100))
    assert folder_key(tmp_path / "a") == folder_key(tmp_path / "b")
    (tmp_path / "b" / "model.safetensors").write_bytes(bytes(99) + b"x")
    assert folder_key(tmp_path / "a") != folder_key(tmp_path / "b")


def test_without_a_quantiser_the_build_says_how_to_get_one(checkpoint: Path, tmp_path: Path, order: Order) -> None:
    engine = TensorrtLlmEngine(str(checkpoint), tmp_path / "data", Installation(STANDIN))
    with pytest.raises(BuildError, match="PARETUNE_TRTLLM_QUANTISER"):
        engine.build(FP8)
