"""TensorRT-LLM's stand-in, told by an environment variable what to do."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.tuner.engines.tensorrt_llm.standin_faults import VARIABLE
from tuner.configuration import Configuration
from tuner.engines import attempt
from tuner.engines.health import HealthWatch, Tolerance
from tuner.engines.tensorrt_llm.engine import TensorrtLlmEngine
from tuner.engines.tensorrt_llm.installation import Installation
from tuner.evaluators.pool import EvaluationPool
from tuner.simulator.kernel_data import KernelData

if TYPE_CHECKING:
    from tests.tuner.engines.tensorrt_llm.staged_jobs import StagedJobs
    from tests.tuner.power.scripted import Machine

STANDIN = (sys.executable, str(Path(__file__).with_name("trtllm_standin.py")))
INSTALLATION = Installation(STANDIN, quantiser="/opt/modelopt/hf_ptq.py", examples="/opt/trtllm/examples")
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
PLAIN = Configuration(
    "tensorrt-llm", "h100_sxm", max_batch_size=32, max_num_tokens=4096, chunked_prefill=True, concurrency=32
)

Order = Callable[..., None]


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch, steps_folder: Path) -> Order:
    """Orders of the stand-in: faults by kind, or with all their fields; and `speed`, `version` and the like."""

    def give(*faults: str | dict[str, Any], **orders: Any) -> None:
        listed = [{"kind": fault} if isinstance(fault, str) else fault for fault in faults]
        monkeypatch.setenv(
            VARIABLE, json.dumps({"speed": 50, "steps_folder": str(steps_folder), **orders, "faults": listed})
        )

    give()
    return give


@pytest.fixture
def engine(tmp_path: Path, order: Order) -> TensorrtLlmEngine:
    """TensorRT-LLM in the stand-in."""
    return TensorrtLlmEngine(MODEL, tmp_path / "data", INSTALLATION)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Health is believed lost after a second."""
    quick = Tolerance(refusing_seconds=1.0, silent_seconds=2.0, every_seconds=0.2, answer_seconds=1.0)
    monkeypatch.setattr(attempt, "HealthWatch", lambda address, path, pids: HealthWatch(address, path, pids, quick))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A plain checkpoint directory of a small Llama, weights left out."""
    folder = tmp_path / "llama"
    folder.mkdir()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
        "intermediate_size": 14336,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def staged_jobs(tmp_path: Path, pool: EvaluationPool, kernels: KernelData, machine: "Machine") -> "StagedJobs":
    """Whole staged jobs on the stand-in, on a machine of as many scripted GPUs as they use."""
    from tests.tuner.engines.tensorrt_llm.staged_jobs import GPUS, StagedJobs

    for _ in range(GPUS):
        machine.add()
    return StagedJobs.at(tmp_path, pool, kernels)
