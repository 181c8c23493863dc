"""The stand-in is as strict as the real one, as wrong as it is told, and faster or slower by its knobs."""

import asyncio
import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.tuner.engines.tensorrt_llm.conftest import MODEL, PLAIN, STANDIN, Order
from tests.tuner.engines.tensorrt_llm.standin_batching import Batching, Machine
from tests.tuner.engines.tensorrt_llm.standin_steps import configuration_of, steps_of
from tests.tuner.engines.tensorrt_llm.standin_truth import played
from tuner.engines.base import Artefact, Launch
from tuner.engines.failure_texts import FAILURE_PATTERNS
from tuner.engines.failures import named_by
from tuner.engines.tensorrt_llm.engine import TensorrtLlmEngine
from tuner.simulator.kernel_data import KernelData

DATA: dict[str, Any] = {
    "tensor_parallel_size": 1,
    "max_batch_size": 16,
    "max_num_tokens": 4096,
    "enable_chunked_prefill": True,
}


def served(tmp_path: Path, text: str, *flags: str) -> "subprocess.CompletedProcess[str]":
    (tmp_path / "c.yaml").write_text(text)
    command = [*STANDIN, "trtllm-serve", "model", "--config", str(tmp_path / "c.yaml"), "--port", "28999", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        ("tp_size: 2", (), "1 validation error for TorchLlmArgs\ntp_size\n  Extra inputs are not permitted"),
        ("cuda_graph_config: {batch_sizes: [1, 8], max_batch_size: 4}", (), "max_batch_size must equal max(batch_sizes)"),
        ("kv_cache_config: {avg_seq_len: 9000}", (), "kv_cache_config.avg_seq_len"),
        ("{}", ("--served_model_name", "m"), "Error: No such option: --served_model_name"),
    ],
)  # fmt: skip
def test_it_refuses_in_the_real_ones_words(
    tmp_path: Path, order: Order, text: str, flags: tuple[str, ...], said: str
) -> None:
    told = served(tmp_path, text, *flags)
    assert told.returncode
    assert said in told.stdout
    failure = named_by(FAILURE_PATTERNS["tensorrt-llm"], told.stdout)
    assert failure is not None
    assert failure.kind == "unsupported"


def test_an_error_comes_in_the_middle_of_an_answer(engine: TensorrtLlmEngine, order: Order, tmp_path: Path) -> None:
    order("mid_stream_error")
    with engine.start(Launch(PLAIN, Artefact(None), 2048, tmp_path)) as running:
        address = running.wait_ready()
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8, "stream": True}
        asked = Request(f"{address.base_url}/v1/chat/completions", json.dumps(body).encode())
        with urlopen(asked, timeout=20) as answer:
            events = [line.decode().removeprefix("data: ") for line in answer if line.startswith(b"data: ")]
    assert answer.status == 200
    assert "No free blocks left" in json.loads(events[-1])["error"]["message"]
    assert len(events) == 5


def test_a_fault_can_hold_for_some_configurations_alone(
    engine: TensorrtLlmEngine, order: Order, tmp_path: Path
) -> None:
    order({"kind": "out_of_memory", "component": "KV cache", "when": {"min_max_num_tokens": 8192}})
    with engine.start(Launch(PLAIN, Artefact(None), 2048, tmp_path / "small")) as running:
        running.wait_ready()
    large = replace(PLAIN, max_num_tokens=8192)
    with (
        engine.start(Launch(large, Artefact(None), 2048, tmp_path / "large")) as running,
        pytest.raises(Exception, match="KV cache"),
    ):
        running.wait_ready()  # fmt: skip


def machine_of(kernels: KernelData, weights: str = "bfloat16", speed: float = 1.0, **changes: Any) -> Machine:
    data = DATA | changes
    configuration = configuration_of(data, weights, "h100_sxm")
    steps = steps_of(MODEL, configuration, prompt_tokens=128, longest=1024, kernels=kernels)
    return Machine.of(data, configuration, steps, cache_tokens=100_000, speed=speed)


def tokens_per_second(machine: Machine, requests: int = 16) -> float:
    async def load() -> None:
        batching = Batching(machine)
        steps = asyncio.create_task(batching.run())

        async def one() -> None:
            async for _ in batching.tokens(128, 20):
                pass

        await asyncio.gather(*(one() for _ in range(requests)))
        steps.cancel()

    started = time.monotonic()
    asyncio.run(load())
    return requests * 20 / (time.monotonic() - started)


def test_knobs_matter(kernels: KernelData) -> None:
    plain = tokens_per_second(machine_of(kernels))
    assert tokens_per_second(machine_of(kernels, max_batch_size=2)) < 0.6 * plain
    assert tokens_per_second(machine_of(kernels, "fp8")) > 1.1 * plain
    assert tokens_per_second(machine_of(kernels, tensor_parallel_size=4)) > 1.3 * plain
    assert tokens_per_second(machine_of(kernels, cuda_graph_config=None)) < 0.9 * plain


def test_its_steps_last_as_long_as_the_simulator_says(kernels: KernelData) -> None:
    machine = machine_of(kernels, speed=2)
    times = machine.steps.times
    assert machine.step_seconds(8, 200.0, 0) == pytest.approx(times.decode(8, 200.0) / 1000 / 2)
    assert machine.step_seconds(8, 200.0, 512) == pytest.approx(
        max(times.mixed(512, 8, 200.0), machine.steps.host.prefill_floor_ms) / 1000 / 2
    )


def test_step_times_that_were_kept_are_those_that_were_asked_for(kernels: KernelData, tmp_path: Path) -> None:
    configuration = configuration_of(DATA, "fp8", "h100_sxm")
    asked = steps_of(MODEL, configuration, 128, 1024, tmp_path, kernels)
    assert len(list(tmp_path.iterdir())) == 1
    assert steps_of(MODEL, configuration, 128, 1024, tmp_path) == asked


def test_batching_in_real_time_is_what_the_scheduling_simulation_foresees(kernels: KernelData) -> None:
    machine = machine_of(kernels)
    timeline = played(machine, [(128, 20)] * 16, concurrency=16)
    foreseen = 16 * 20 / (timeline.end_ms.max() / 1000)
    assert tokens_per_second(machine) == pytest.approx(foreseen, rel=0.2)
