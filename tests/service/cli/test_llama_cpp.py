import json
from pathlib import Path

import pytest

from service.cli.main import run
from tests.tuner.engines.tiny_model import write_model
from tuner.engines.llama_cpp.model import weight_type


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of random weights in F16, and a data directory for what is converted of it."""
    monkeypatch.setenv("PARETUNE_DATA_DIR", str(tmp_path / "data"))
    return str(write_model(tmp_path / "tiny.gguf"))


def test_weights_are_converted_once(model: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert [run(["llama-cpp", "weights", model, "q8_0"]) for _ in range(2)] == [0, 0]

    first, second = (Path(line) for line in capfd.readouterr().out.splitlines())
    assert first == second
    assert first.is_relative_to(tmp_path / "data")
    assert weight_type(first) == "q8_0"


def test_weights_that_the_model_has_are_its_own_file(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["llama-cpp", "weights", model, "f16", "--json"]) == 0

    assert json.loads(capfd.readouterr().out) == {"file": model, "weights": "f16"}


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [(["q3_k_m"], 1, "use f32, f16"), (["q8_0"], 2, "no GGUF file")],
)
def test_what_cannot_be_made_is_named(
    model: str, capfd: pytest.CaptureFixture[str], asked: list[str], code: int, says: str
) -> None:
    name = model if code == 1 else "no-such-model"

    assert run(["llama-cpp", "weights", name, *asked]) == code
    assert says in capfd.readouterr().err
