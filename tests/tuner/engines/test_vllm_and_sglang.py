"""vLLM and SGLang as far as their command lines go, and their contract on a stand-in."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tuner.engines.conftest import STAND_IN
from tests.tuner.engines.contract import Case, EngineContract
from tuner.configuration import Configuration
from tuner.engines import sglang_flags, vllm_flags
from tuner.engines.base import Artefact, Launch
from tuner.engines.sglang import SglangEngine
from tuner.engines.vllm import VllmEngine

PROGRAM = (sys.executable, "-I", "-S", STAND_IN)
VLLM = Configuration("vllm", "h100_sxm", max_batch_size=64, max_num_tokens=4096, chunked_prefill=True)
SGLANG = replace(VLLM, engine="sglang")


class TestVllm(EngineContract):
    """vLLM keeps the contract."""

    @pytest.fixture
    def case(self, tmp_path: Path) -> Case:
        return Case(VllmEngine("some/model", tmp_path / "data", PROGRAM), VLLM, tmp_path / "data")

    def test_a_running_server_tells_its_version(self, case: Case, tmp_path: Path) -> None:
        with case.engine.start(case.launch(tmp_path)) as running:
            running.wait_ready()
            assert running.facts()["engine_version"] == "9.9"


class TestSglang(EngineContract):
    """SGLang keeps the contract."""

    @pytest.fixture
    def case(self, tmp_path: Path) -> Case:
        return Case(SglangEngine("some/model", tmp_path / "data", PROGRAM), SGLANG, tmp_path / "data")


def launch(configuration: Configuration, shares_prefixes: bool = False) -> Launch:
    return Launch(configuration, Artefact(None), 2048, Path("/nowhere"), shares_prefixes=shares_prefixes)


def flags(words: tuple[str, ...]) -> dict[str, str]:
    """Each flag with its value, empty for a switch."""
    pairs = zip(words, (*words[1:], ""), strict=True)
    return {word: "" if value.startswith("--") else value for word, value in pairs if word.startswith("--")}


def test_vllm_is_told_every_knob() -> None:
    knobs = replace(
        VLLM,
        tensor_parallel=4,
        expert_parallel=4,
        kv_cache="fp8",
        weights="fp8",
        cuda_graphs=False,
        speculative="ngram",
        options=(("block_size", 32), ("gpu_memory_utilization", 0.85)),
    )
    words = vllm_flags.arguments("some/model", launch(knobs), 8000)
    assert words[:2] == ("serve", "some/model")
    given = flags(words)
    assert json.loads(given.pop("--speculative-config"))["method"] == "ngram"
    assert given == {
        "--served-model-name": "some/model",
        "--host": "127.0.0.1",
        "--port": "8000",
        "--tensor-parallel-size": "4",
        "--data-parallel-size": "1",
        "--pipeline-parallel-size": "1",
        "--enable-expert-parallel": "",
        "--max-num-seqs": "64",
        "--max-num-batched-tokens": "4096",
        "--max-model-len": "2048",
        "--kv-cache-dtype": "fp8",
        "--quantization": "fp8",
        "--enable-chunked-prefill": "",
        "--no-enable-prefix-caching": "",
        "--enforce-eager": "",
        "--block-size": "32",
        "--gpu-memory-utilization": "0.85",
    }


def test_vllm_without_chunked_prefill_takes_whole_prompts_in_a_step() -> None:
    given = flags(vllm_flags.arguments("m", launch(replace(VLLM, chunked_prefill=False, max_num_tokens=512)), 1))
    assert "--no-enable-chunked-prefill" in given
    assert given["--max-num-batched-tokens"] == "2048"


def test_sglang_is_told_every_knob() -> None:
    knobs = replace(
        SGLANG,
        tensor_parallel=4,
        expert_parallel=2,
        attention_dp=True,
        kv_cache="fp8",
        moe_backend="TRITON",
        options=(("mem_fraction_static", 0.8), ("page_size", 64), ("schedule_policy", "lpm")),
    )
    assert flags(sglang_flags.arguments("some/model", launch(knobs), 8000)) == {
        "--model-path": "some/model",
        "--served-model-name": "some/model",
        "--host": "127.0.0.1",
        "--port": "8000",
        "--tp-size": "4",
        "--pp-size": "1",
        "--enable-dp-attention": "",
        "--dp-size": "4",
        "--ep-size": "2",
        "--max-running-requests": "256",
        "--chunked-prefill-size": "16384",
        "--max-prefill-tokens": "4096",
        "--context-length": "2048",
        "--kv-cache-dtype": "fp8_e4m3",
        "--cuda-graph-max-bs": "64",
        "--disable-radix-cache": "",
        "--moe-runner-backend": "triton",
        "--mem-fraction-static": "0.8",
        "--page-size": "64",
        "--schedule-policy": "lpm",
        "--enable-metrics": "",
    }


def test_prefixes_are_cached_where_requests_share_them_or_the_knob_says_so() -> None:
    assert "--enable-prefix-caching" in vllm_flags.arguments("m", launch(VLLM, shares_prefixes=True), 1)
    forced = replace(VLLM, options=(("prefix_caching", True),))
    assert "--enable-prefix-caching" in vllm_flags.arguments("m", launch(forced), 1)
    assert "--disable-radix-cache" not in sglang_flags.arguments("m", launch(SGLANG, shares_prefixes=True), 1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(VLLM, expert_parallel=2, tensor_parallel=4), "expert_parallel"),
        (replace(VLLM, speculative="ngram", pipeline_parallel=2), "speculative"),
        (replace(VLLM, max_batch_size=512, max_num_tokens=256), "max_num_tokens"),
        (replace(VLLM, weights="int4_awq"), "checkpoint"),
        (replace(VLLM, moe_backend="TRITON"), "moe_backend"),
        (replace(VLLM, options=(("gpu_memory_utilization", 1.5),)), "gpu_memory_utilization"),
        (replace(SGLANG, tensor_parallel=2, expert_parallel=3), "expert_parallel"),
        (replace(SGLANG, attention_dp=True, speculative="ngram"), "attention_dp"),
        (replace(SGLANG, options=(("page_size", 3),)), "page_size"),
        (replace(SGLANG, moe_backend="fast"), "no MoE runner"),
    ],
)
def test_what_they_refuse_is_illegal(tmp_path: Path, changed: Configuration, said: str) -> None:
    engine = (VllmEngine if changed.engine == "vllm" else SglangEngine)("some/model", tmp_path)
    assert said in str(engine.illegal(changed))


def test_a_quantised_checkpoint_keeps_its_own_precision(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "awq"}}))
    engine = VllmEngine(str(tmp_path), tmp_path / "data")
    assert engine.illegal(replace(VLLM, weights="int4_awq")) is None
    assert "plain" in str(engine.illegal(VLLM))
    assert "--quantization" not in vllm_flags.arguments(str(tmp_path), launch(replace(VLLM, weights="fp8")), 1)
