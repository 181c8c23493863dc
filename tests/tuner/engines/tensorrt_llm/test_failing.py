"""Each documented way in which TensorRT-LLM fails ends with a failure that says why, and leaves nothing."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tuner.engines.conftest import eventually
from tests.tuner.engines.tensorrt_llm.conftest import PLAIN, Order
from tuner.engines.base import Artefact, Launch
from tuner.engines.errors import EngineFailedError
from tuner.engines.hang import Patience
from tuner.engines.plan import ServerPlan
from tuner.engines.running import RunningServer
from tuner.engines.served import ledger_of
from tuner.engines.tensorrt_llm.engine import TensorrtLlmEngine
from tuner.engines.tensorrt_llm.failure_texts import COMPONENTS
from tuner.trial import Failure, FailureKind


def launch(folder: Path) -> Launch:
    return Launch(PLAIN, Artefact(None), 2048, folder, start_timeout_seconds=20)


def failure_of(plan: ServerPlan, folder: Path) -> Failure:
    running = RunningServer(plan, ledger_of(folder / "data"))
    with pytest.raises(EngineFailedError) as caught:
        running.wait_ready()
    return caught.value.failure


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ({"kind": "out_of_memory", "component": "KV cache"}, "out_of_memory", "KV cache; lower free_gpu_memory"),
        ({"kind": "out_of_memory", "component": "Model", "stays": True}, "out_of_memory", "tensor_parallel"),
        ("torch_out_of_memory", "out_of_memory", "Tried to allocate 48.00 MiB"),
        ("unknown_architecture", "unsupported", "ExoticForCausalLM"),
        ("nccl", "crashed", "NCCL"),
        ({"kind": "rank_death_at_start", "stays": True}, "crashed", "rank 1"),
        ({"kind": "kv_cache_too_small", "tokens": 1024}, "out_of_memory", "1024 tokens, and a request needs 2048"),
    ],
)
def test_a_failing_start_says_why(
    engine: TensorrtLlmEngine, order: Order, tmp_path: Path, fault: object, kind: str, said: str
) -> None:
    order(fault)
    failure = failure_of(engine.plan(launch(tmp_path)), tmp_path)
    assert (failure.kind, said in failure.detail) == (kind, True), failure


@pytest.mark.parametrize(
    ("fault", "said", "patience", "timeout_seconds"),
    [("hang", "did nothing", 1.5, 30.0), ("endless_503", "not ready after", 30.0, 4.0)],
)
def test_a_start_that_never_ends_is_ended(
    engine: TensorrtLlmEngine,
    order: Order,
    tmp_path: Path,
    fault: str,
    said: str,
    patience: float,
    timeout_seconds: float,
) -> None:
    order(fault)
    plan = engine.plan(replace(launch(tmp_path), start_timeout_seconds=timeout_seconds))
    failure = failure_of(replace(plan, patience=Patience(patience, 60.0)), tmp_path)
    assert failure.kind is FailureKind.START_TIMEOUT
    assert said in failure.detail


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("fault", "said"), [("rank_death", "a rank died"), ("sick_later", "503"), ("hang_detected", "Hang detected")]
)
def test_a_ready_server_that_falls_ill_is_found_out(
    engine: TensorrtLlmEngine, order: Order, tmp_path: Path, fault: str, said: str
) -> None:
    order(fault, sick_after_seconds=1.5)
    with engine.start(launch(tmp_path)) as running:
        running.wait_ready()
        started = time.monotonic()
        assert eventually(lambda: running.failure() is not None, seconds=10)
        failure = running.failure()
    assert failure is not None
    assert failure.kind is FailureKind.CRASHED
    assert said in failure.detail
    assert time.monotonic() - started < 10


def test_every_component_has_a_mend() -> None:
    assert len(COMPONENTS) == 11
    assert all(COMPONENTS.values())
