"""`paretune doctor` says what works, what is missing and how to get it."""

import json
import sys
from pathlib import Path

import pytest

from service.cli.main import run
from service.doctor.basics import check_artefacts, check_data_folder, check_database, check_kernel_data
from service.doctor.check import Check, Verdict, works
from service.doctor.engines import check_tensorrt_llm
from service.doctor.gpus import check_gpus
from service.doctor.nvml import GpuSeen, Nvml, read_nvml
from service.settings import Settings
from tuner.engines.tensorrt_llm.arguments import TrtllmArguments
from tuner.engines.tensorrt_llm.real_class import ASK, differences

STANDIN = Path(__file__).parents[2] / "tuner" / "engines" / "tensorrt_llm" / "trtllm_standin.py"
GPU = GpuSeen("NVIDIA H100 80GB HBM3", "GPU-1", 79.6, has_mig=False, power_limits_watts=(200.0, 700.0))


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_plain_machine_works(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    needed = [check_kernel_data(), check_data_folder(settings), check_database(settings)]
    assert works(needed)
    assert not (tmp_path / "paretune.db").exists()


def test_a_database_that_does_not_answer_is_broken(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url="postgresql://u:secret@127.0.0.1:1/name")
    check = check_database(settings)
    assert check.verdict is Verdict.BROKEN
    assert not works([check])
    assert "secret" not in check.found


def test_a_small_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12, 10**9))
    assert "PARETUNE_ARTEFACTS_DIR" in check_artefacts(Settings(data_dir=tmp_path)).mend


def test_gpus_are_counted_and_power_control_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    checks = by_name(check_gpus(lambda: Nvml("580.1", (GPU, GPU))))
    assert checks["GPUs"].found == "2 × NVIDIA H100 80GB HBM3 80 GiB"
    assert checks["power control"].verdict is Verdict.MISSING
    assert "root" in checks["power control"].mend
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert by_name(check_gpus(lambda: Nvml("580.1", (GPU,))))["power control"].verdict is Verdict.OK


def test_a_gpu_in_slices_is_broken() -> None:
    sliced = GpuSeen("H100", "GPU-9", 80.0, has_mig=True, power_limits_watts=None)
    assert "GPU-9" in by_name(check_gpus(lambda: Nvml("580.1", (sliced,))))["GPUs"].found


def test_without_nvml_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "nvidia-ml-py" in read_nvml().mend


def test_tensorrt_llm_is_asked_for_its_version(tmp_path: Path) -> None:
    command = f"{sys.executable} {STANDIN}"
    checks = by_name(check_tensorrt_llm(Settings(data_dir=tmp_path, trtllm_command=command, trtllm_quantiser="/q.py")))
    assert checks["TensorRT-LLM"].found == "1.2.1, driven as 1.2"
    assert checks["quantisation"].verdict is Verdict.OK
    [absent] = check_tensorrt_llm(Settings(data_dir=tmp_path, trtllm_command="/nowhere/trtllm-serve"))
    assert (absent.verdict, "PARETUNE_TRTLLM_COMMAND" in absent.mend) == (Verdict.MISSING, True)


def test_the_real_class_is_compared_field_by_field() -> None:
    ours = sorted({"tensor_parallel_size", "kv_cache_config", "kv_cache_config.dtype"})
    unknown, gone = differences([*ours, "brand_new", "kv_cache_config.newer", "build_config.x"], TrtllmArguments)
    assert unknown == ["brand_new", "kv_cache_config.newer"]
    assert {"max_batch_size", "kv_cache_config.max_tokens"} <= set(gone)
    assert not [name for name in gone if name.startswith("speculative_config.")]


def test_the_question_to_the_real_class_is_a_program() -> None:
    """Given a package with a class of that name, when it is asked, it lists fields at every level."""
    import subprocess

    stub = (
        "import sys, types\n"
        "from pydantic import BaseModel\n"
        "class Inner(BaseModel):\n    dtype: str = 'auto'\n"
        "class TorchLlmArgs(BaseModel):\n    kv_cache_config: Inner | None = None\n    model: str = ''\n"
        "names = ['tensorrt_llm', 'tensorrt_llm.llmapi', 'tensorrt_llm.llmapi.llm_args']\n"
        "sys.modules |= {name: types.ModuleType(name) for name in names}\n"
        "sys.modules[names[2]].TorchLlmArgs = TorchLlmArgs\n"
    )
    told = subprocess.run([sys.executable, "-c", stub + ASK], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(told.stdout.split(" ", 1)[1]) == ["kv_cache_config", "kv_cache_config.dtype", "model"]


def test_the_command_answers_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PARETUNE_DATA_DIR", str(tmp_path))
    assert run(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["works"] is True
    assert {"NVML and driver", "TensorRT-LLM", "database", "disk for artefacts"} <= {c["name"] for c in told["checks"]}
    assert run(["doctor"]) == 0
    assert "how to get it" in capsys.readouterr().out


def test_it_exits_1_where_nothing_can_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PARETUNE_DATABASE_URL", "postgresql://u@127.0.0.1:1/name")
    monkeypatch.setenv("PARETUNE_DATA_DIR", str(tmp_path))
    assert run(["doctor", "--json"]) == 1
