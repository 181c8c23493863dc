"""Two measuring jobs are the same when they mean the same, on the same files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from service.cli.job_digest import digest_of
from tests.tuner.engines.tiny_model import write_model
from tuner.spec import JobSpec, parse_spec

Job = Callable[..., JobSpec]


@pytest.fixture
def measuring(tmp_path: Path) -> Job:
    """Makes a job on a model of random weights, loaded as a trace says."""
    model, trace = write_model(tmp_path / "tiny.gguf"), tmp_path / "trace.jsonl"
    trace.write_text(json.dumps({"input_tokens": 8, "output_tokens": 8}))
    data: dict[str, object] = {
        "model": str(model),
        "engine": "llama.cpp",
        "hardware": {"gpu": "cpu", "gpus": 1},
        "workload": {"input_tokens": {"trace": str(trace)}, "output_tokens": {"trace": str(trace)}},
        "evaluator": "measure",
    }
    return lambda **changes: parse_spec(data | changes)


def test_what_is_left_out_is_the_same_as_its_default(measuring: Job) -> None:
    assert digest_of(measuring()) == digest_of(measuring(seed=0, budget={}))


@pytest.mark.parametrize("changes", [{"seed": 1}, {"budget": {"trials": 9}}, {"objectives": ["tpot"]}])
def test_another_wish_is_another_job(measuring: Job, changes: dict[str, object]) -> None:
    assert digest_of(measuring(**changes)) != digest_of(measuring())


@pytest.mark.parametrize("name", ["tiny.gguf", "trace.jsonl"])
def test_another_file_under_the_same_name_is_another_job(measuring: Job, tmp_path: Path, name: str) -> None:
    spec = measuring()
    before = digest_of(spec)

    with (tmp_path / name).open("ab") as file:
        file.write(b"\n")

    assert digest_of(spec) != before


def test_another_tensorrt_llm_is_another_job(measuring: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(measuring())

    monkeypatch.setenv("PARETUNE_TRTLLM_IMAGE", "nvcr.io/nvidia/tensorrt-llm/release:1.3.0")

    assert digest_of(measuring()) != before
