"""Any server by its command: placeholders, environment, and what is wrong with a command."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tuner.engines.conftest import STAND_IN
from tests.tuner.engines.contract import Case, EngineContract
from tuner.configuration import Configuration
from tuner.engines.command import CommandEngine
from tuner.engines.errors import ProgramMissingError
from tuner.errors import SpecError
from tuner.spec import Command

PLAIN = Configuration(engine="command", gpu="cpu", options=(("depth", 3),))
WORDS = (sys.executable, "-I", "-S", STAND_IN, "--host", "{host}", "--port", "{port}", "--alias", "{model}")


def command(*words: str, **changes: object) -> Command:
    fields = {"arguments": (*WORDS, "--depth={depth}", *words), "knobs": {"depth": (1, 3)}} | changes
    return Command.model_validate(fields)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(CommandEngine("some-model", tmp_path / "data", command()), PLAIN, tmp_path / "data")


class TestContract(EngineContract):
    """Any command keeps the contract."""


def test_placeholders_are_filled_and_the_environment_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETUNE_DATABASE_URL", "postgresql://me:secret@db/x")
    record = tmp_path / "record.json"
    given = command("--record", str(record), "--width={max_batch_size}", "--fast={fast}", environment={"MINE": "1"})
    given = given.model_copy(update={"knobs": {"depth": (1, 3), "fast": (True,)}, "ready": "/my/ready"})
    engine = CommandEngine("some-model", tmp_path / "data", given)
    knobs = replace(PLAIN, max_batch_size=7, options=(("depth", 3), ("fast", True)))
    launch = Case(engine, knobs, tmp_path).launch(tmp_path / "trial", devices=("GPU-1", "GPU-2"))
    with engine.start(launch) as running:
        address = running.wait_ready()
        assert address.model == "some-model"
        assert running.metrics() == {"running": 3.0}
    seen = json.loads(record.read_text())
    assert seen["arguments"][:6] == ["--host", "127.0.0.1", "--port", str(address.port), "--alias", "some-model"]
    assert seen["arguments"][6] == "--depth=3"
    assert seen["arguments"][-2:] == ["--width=7", "--fast=true"]
    environment = seen["environment"]
    assert (environment["MINE"], environment["CUDA_VISIBLE_DEVICES"]) == ("1", "GPU-1,GPU-2")
    assert "secret" not in json.dumps(environment)


def test_a_word_is_one_argument_whatever_it_holds(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    engine = CommandEngine("a b; $(touch x) 'q'", tmp_path / "data", command("--record", str(record)))
    with engine.start(Case(engine, PLAIN, tmp_path).launch(tmp_path / "trial")) as running:
        running.wait_ready()
    assert "a b; $(touch x) 'q'" in json.loads(record.read_text())["arguments"]


def test_a_program_that_is_not_there_is_the_machines_fault(tmp_path: Path) -> None:
    engine = CommandEngine("m", tmp_path, Command(arguments=("no-such-program", "{port}")))
    with pytest.raises(ProgramMissingError, match="no-such-program"):
        engine.start(Case(engine, Configuration("command", "cpu"), tmp_path).launch(tmp_path))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Command(arguments=("x", "{port}", "{widht}")), "command.arguments"),
        (Command(arguments=("x",)), "command.arguments"),
        (Command(arguments=("x", "{port}"), knobs={"depth": (1,)}), "command.knobs.depth"),
    ],
)
def test_a_wrong_command_names_its_field(tmp_path: Path, wrong: Command, field: str) -> None:
    with pytest.raises(SpecError) as caught:
        CommandEngine("m", tmp_path, wrong)
    assert caught.value.problems[0].field == field


def test_a_placeholder_without_a_value_is_illegal(case: Case) -> None:
    assert "depth" in str(case.engine.illegal(replace(PLAIN, options=())))
