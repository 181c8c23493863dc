"""`paretune estimate` and `paretune validate`, which need no service."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Command, Sandbox


LLAMA = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "gpu": "h100_sxm",
    "input_tokens": 1024,
    "output_tokens": 256,
    "concurrency": 32,
}
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def test_a_batch_answers_every_line_in_order(sandbox: "Sandbox", here: "Command") -> None:
    lines = [
        json.dumps(LLAMA),
        "{broken",
        json.dumps({**LLAMA, "gpu": "h1000"}),
        json.dumps({**LLAMA, "concurrency": 0}),
        "",
        json.dumps({**LLAMA, "model": "meta-llama/Llama-3.1-70B-Instruct", "configuration": {"weights": "bfloat16"}}),
        json.dumps({**LLAMA, "configuration": {"tensor_parallel": 2}}),
    ]

    ended = here("estimate", "--batch", sandbox.write("batch.jsonl", "\n".join(lines)))

    assert ended.returncode == 0, ended.stderr
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [answer.get("failure") for answer in answers] == [
        None,
        "unsupported",
        "unsupported",
        "unsupported",
        "out_of_memory",
        None,
    ]
    assert "h100_sxm" in answers[2]["detail"]
    assert answers[0]["metrics"]["tpot_mean_ms"] > answers[5]["metrics"]["tpot_mean_ms"] > 0
    assert set(answers[0]["provenance"]) == set(answers[0]["metrics"])


def test_one_estimate_as_json(here: "Command") -> None:
    options = [text for key, value in LLAMA.items() for text in (f"--{key.replace('_', '-')}", str(value))]

    ended = here("estimate", *options, "--set", "tensor_parallel=2", "--json")

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["configuration"]["tensor_parallel"] == 2


def test_missing_options_are_named(here: "Command") -> None:
    ended = here("estimate", "--model", str(LLAMA["model"]))

    assert ended.returncode == 2
    assert "--gpu" in ended.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_valid(here: "Command", example: Path) -> None:
    ended = here("validate", str(example), "--json")

    is_measured = "evaluator: measure" in example.read_text(encoding="utf-8")
    assert json.loads(ended.stdout)["space_size"] > (20 if is_measured else 100)


def test_an_engine_file_is_checked_against_the_engine(sandbox: "Sandbox", here: "Command") -> None:
    good = here("validate", sandbox.write("good.yaml", "tensor_parallel_size: 2\n"), "--engine", "tensorrt-llm")
    bad = here("validate", sandbox.write("bad.yaml", "tensor_paralel_size: 2\n"), "--engine", "tensorrt-llm")

    assert good.returncode == 0, good.stderr
    assert bad.returncode == 2
    assert "tensor_parallel_size" in bad.stderr


def test_an_unknown_command_or_option_takes_one_line(here: "Command") -> None:
    for arguments in (["tun"], ["tune"], ["tune", "x.yaml", "--nope"], ["jobs", "--limit", "many"]):
        ended = here(*arguments)

        assert ended.returncode == 2
        assert len(ended.stderr.splitlines()) == 1
