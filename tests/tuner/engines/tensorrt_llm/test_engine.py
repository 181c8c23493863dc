"""TensorRT-LLM keeps the contract of engines, on a stand-in that speaks as trtllm-serve does."""

import json
from dataclasses import replace
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.tuner.engines.contract import Case, EngineContract
from tests.tuner.engines.tensorrt_llm.conftest import INSTALLATION, MODEL, PLAIN, STANDIN, Order
from tuner.engines.base import Artefact, Launch
from tuner.engines.errors import ProgramMissingError
from tuner.engines.registry import open_engine
from tuner.engines.tensorrt_llm import parse_arguments
from tuner.engines.tensorrt_llm.engine import TensorrtLlmEngine
from tuner.engines.tensorrt_llm.installation import Installation
from tuner.errors import SpecError


class TestTensorrtLlm(EngineContract):
    """TensorRT-LLM keeps the contract."""

    @pytest.fixture
    def case(self, engine: TensorrtLlmEngine, tmp_path: Path) -> Case:
        return Case(engine, PLAIN, tmp_path / "data")

    def test_its_start_is_read_from_the_log(self, case: Case, tmp_path: Path) -> None:
        with case.engine.start(case.launch(tmp_path / "trial")) as running:
            running.wait_ready()
            facts = running.facts()
        assert facts["engine_version"] == "1.2.1"
        assert facts["start_phase"] == "serving"
        assert facts["kv_cache_tokens"] == 400_000
        assert facts["max_sequence_tokens"] == 264

    def test_it_streams_tokens_with_usage(self, case: Case, tmp_path: Path) -> None:
        with case.engine.start(case.launch(tmp_path / "trial")) as running:
            address = running.wait_ready()
            body = {"model": address.model, "prompt": [1] * 50, "max_tokens": 8, "stream": True}
            events = _streamed(f"{address.base_url}/v1/completions", body | {"stream_options": {"include_usage": True}})
        assert events[-1] == "[DONE]"
        assert json.loads(events[-2])["usage"] == {"prompt_tokens": 50, "completion_tokens": 8, "total_tokens": 58}
        assert len(events) == 10


def _streamed(url: str, body: dict[str, object]) -> list[str]:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=20) as answer:
        return [line.decode().removeprefix("data: ").strip() for line in answer if line.startswith(b"data: ")]


def launch(folder: Path, **changes: object) -> Launch:
    return Launch(replace(PLAIN, **changes), Artefact(None), 2048, folder)  # type: ignore[arg-type]


def test_every_knob_stands_in_the_file_and_none_in_a_flag(engine: TensorrtLlmEngine, tmp_path: Path) -> None:
    plan = engine.plan(launch(tmp_path, tensor_parallel=4, kv_cache="fp8", options=(("stream_interval", 10),)))
    config = tmp_path / "trtllm-serve.yaml"
    assert plan.arguments(8000) == (
        *STANDIN,
        "trtllm-serve",
        MODEL,
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        "8000",
    )
    written = yaml.safe_load(config.read_text())
    assert parse_arguments(written).tensor_parallel_size == 4
    assert written["kv_cache_config"] == {
        "dtype": "fp8",
        "free_gpu_memory_fraction": 0.9,
        "enable_block_reuse": False,
    }
    assert (written["max_seq_len"], written["stream_interval"]) == (2112, 10)


def test_1_3_serves_the_model_by_the_asked_name(engine: TensorrtLlmEngine, order: Order, tmp_path: Path) -> None:
    order(version="1.3.0rc23")
    assert engine.plan(launch(tmp_path)).arguments(1)[-2:] == ("--served_model_name", MODEL)
    with engine.start(launch(tmp_path)) as running:
        assert running.wait_ready().model == MODEL


def test_the_version_is_asked_once(engine: TensorrtLlmEngine, order: Order) -> None:
    assert engine.version == "1.2.1"
    order(version="9.9")
    assert engine.version == "1.2.1"


def test_a_container_has_its_gpus_its_run_and_a_name_to_stop_it_by(tmp_path: Path) -> None:
    engine = TensorrtLlmEngine(MODEL, tmp_path / "data", Installation(image="nvcr.example/tensorrt-llm:1.2.1"))
    engine.__dict__["_version"] = "1.2.1"
    plan = engine.plan(replace(launch(tmp_path), devices=("GPU-1", "GPU-2")))
    words = plan.arguments(8000)
    name = words[words.index("--name") + 1]
    assert words[:3] == ("docker", "run", "--rm")
    assert words[words.index("--gpus") + 1] == '"device=GPU-1,GPU-2"'
    assert words[words.index("PARETUNE_RUN") - 1 : words.index("PARETUNE_RUN") + 1] == ("--env", "PARETUNE_RUN")
    assert f"{tmp_path}:{tmp_path}" in words
    assert words[words.index("nvcr.example/tensorrt-llm:1.2.1") + 1] == "trtllm-serve"
    assert plan.stop(8000) == ("docker", "rm", "--force", name)
    assert plan.is_container


def test_a_command_is_a_prefix_or_the_program_itself() -> None:
    from tuner.engines.tensorrt_llm.installation import Container

    box = Container("box")
    assert Installation.of("conda run -n trtllm").words("trtllm-bench", ("x",), box)[-2:] == ("trtllm-bench", "x")
    own = Installation.of("/opt/trtllm/bin/trtllm-serve")
    assert own.words("trtllm-serve", (), box) == ("/opt/trtllm/bin/trtllm-serve",)
    assert own.words("python3", ("-c", "1"), box) == ("/opt/trtllm/bin/python3", "-c", "1")
    assert Installation.of("'a b/run' -x").command == ("a b/run", "-x")
    with pytest.raises(SpecError, match="unset one"):
        Installation.of("a", "b")


def test_without_the_program_the_settings_are_named(tmp_path: Path) -> None:
    engine = open_engine("tensorrt-llm", MODEL, tmp_path, tensorrt_llm=Installation.of("/nowhere/trtllm-serve"))
    with pytest.raises(ProgramMissingError, match="PARETUNE_TRTLLM_COMMAND"):
        engine.start(launch(tmp_path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tensor_parallel": 3}, "attention heads"),
        ({"tensor_parallel": 4, "expert_parallel": 3}, "expert_parallel"),
        ({"pipeline_parallel": 64}, "layers"),
        ({"speculative": "mtp:1", "pipeline_parallel": 2}, "pipeline_parallel_size"),
        ({"speculative": "eagle3:3"}, "draft model"),
        ({"speculative": "medusa:3"}, "speculative"),
        ({"weights": "nvfp4"}, "Blackwell"),
        ({"gpu": "a100_sxm", "weights": "fp8"}, "Ada"),
        ({"kv_cache": "nvfp4"}, "Blackwell"),
        ({"moe_backend": "FASTEST"}, "moe_config.backend"),
        ({"options": (("scheduler_policy", "FIFO"),)}, "scheduler_policy"),
        ({"weights": "mxfp4"}, "makes"),
        ({"options": (("backend", "tensorrt"),), "attention_dp": True}, "pytorch"),
    ],
)
def test_what_it_refuses_is_illegal(engine: TensorrtLlmEngine, changes: dict[str, object], said: str) -> None:
    assert said in str(engine.illegal(replace(PLAIN, **changes)))  # type: ignore[arg-type]


def test_the_tensorrt_backend_went_after_1_2(engine: TensorrtLlmEngine, order: Order) -> None:
    order(version="1.3.0")
    assert "went after 1.2" in str(engine.illegal(replace(PLAIN, options=(("backend", "tensorrt"),))))


def test_weights_that_cannot_be_had_are_refused_before_anything_starts(tmp_path: Path, checkpoint: Path) -> None:
    without = TensorrtLlmEngine(MODEL, tmp_path, Installation(STANDIN))
    assert "PARETUNE_TRTLLM_QUANTISER" in str(without.illegal(replace(PLAIN, weights="fp8")))
    (checkpoint / "hf_quant_config.json").write_text(
        json.dumps({"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}})
    )
    given = TensorrtLlmEngine(str(checkpoint), tmp_path, INSTALLATION)
    assert "plain" in str(given.illegal(PLAIN))
    assert "use kv_cache fp8" in str(given.illegal(replace(PLAIN, weights="fp8")))
    assert given.illegal(replace(PLAIN, weights="fp8", kv_cache="fp8")) is None
