import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service.cli.errors import ExitCode, outcome_of
from service.cli.load_progress import note_of, phase_lines
from service.cli.main import run
from tests.tuner.load.behaviour import Behaviour, Misbehaviour
from tests.tuner.load.known_server import serving
from tuner.load import lateness
from tuner.load.errors import EndpointError, OverloadError, RefusedError, UnreachableError
from tuner.load.result import Standing

Command = Callable[..., int]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine makes the client late, which is not what is asked here."""
    monkeypatch.setattr(lateness, "LAG_FLOOR_MS", 100.0)
    monkeypatch.setattr(lateness, "SEND_FLOOR_MS", 500.0)


@pytest.fixture
def measure() -> Command:
    """Runs `paretune measure` against a URL, and gives its exit code."""

    def measured(url: str, *more: str) -> int:
        asked = ["--model", "known", "--input-tokens", "20", "--output-tokens", "10", "--seconds", "2"]
        return run(["measure", "--url", url, *asked, *more])

    return measured


def test_an_engine_that_runs_is_measured(measure: Command, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(Behaviour(token_seconds=0.005)) as (url, _):
        code = measure(f"{url}/v1", "--concurrency", "2")

    out = capfd.readouterr().out
    assert code == 0
    assert all(word in out for word in ("TTFT", "TPOT", "ITL", "requests per second", "of warm-up", "client:"))


def test_a_machine_gets_one_document(measure: Command, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl.gz"
    with serving(Behaviour(token_seconds=0.005)) as (url, _):
        code = measure(url, "--request-rate", "20", "--gpus", "2", "--records", str(records), "--json")

    document = json.loads(capfd.readouterr().out)
    assert code == 0
    assert document["metrics"]["tpot_mean_ms"] > 0
    assert "output_tokens_per_second_per_gpu" in document["metrics"]
    assert "energy_joules_per_output_token" not in document["metrics"]
    assert set(document["intervals"]) <= set(document["metrics"])
    assert document["details"]["requests"]["failed"] == 0
    assert records.stat().st_size > 0


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "give either --concurrency or --request-rate"),
        (["--concurrency", "2", "--request-rate", "2"], "give either"),
        (["--request-rate", "0"], "more than 0"),
        (["--request-rate", "2", "--burstiness", "0"], "or constant"),
        (["--concurrency", "2", "--burstiness", "0.5"], "arrivals of a --request-rate"),
        (["--request-rate", "2", "--burstiness", "wild"], "or constant"),
        (["--concurrency", "2", "--precision", "3"], "0.03 for 3 %"),
        (["--concurrency", "2", "--records", "/no/such/folder/x"], "no folder"),
    ],
)
def test_a_wrong_word_is_named(measure: Command, capfd: pytest.CaptureFixture[str], more: list[str], says: str) -> None:
    assert measure("http://127.0.0.1:1", *more) == 2
    assert says in capfd.readouterr().err


@pytest.mark.parametrize(("given", "shape"), [("constant", None), ("0.5", 0.5)])
def test_arrivals_have_the_shape_that_is_asked(
    measure: Command, capfd: pytest.CaptureFixture[str], given: str, shape: float | None
) -> None:
    with serving(Behaviour(token_seconds=0.005)) as (url, _):
        code = measure(url, "--request-rate", "20", "--burstiness", given, "--json")

    assert code == 0
    assert json.loads(capfd.readouterr().out)["load"]["arrivals"] == {"rate": 20.0, "burstiness": shape}


def test_where_nothing_answers_the_exit_code_says_so(measure: Command, capfd: pytest.CaptureFixture[str]) -> None:
    assert measure("http://127.0.0.1:1", "--concurrency", "2") == 4
    assert "start the engine" in capfd.readouterr().err


def test_an_engine_that_fails_gives_one_line(measure: Command, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(Behaviour(misbehaviour=Misbehaviour.STREAM_ERROR)) as (url, _):
        assert measure(url, "--concurrency", "2") == 1

    assert "KV cache" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnreachableError("x"), ExitCode.NOT_REACHABLE),
        (EndpointError("x"), ExitCode.BAD_USAGE),
        (RefusedError("x"), ExitCode.FAILED),
        (OverloadError("x"), ExitCode.FAILED),
    ],
)
def test_errors_of_a_load_have_their_exit_codes(error: Exception, code: ExitCode) -> None:
    outcome = outcome_of(error)

    assert outcome is not None
    assert outcome.exit_code is code


def test_progress_says_how_far_a_load_is() -> None:
    standing = Standing("measuring", 12.4, 60.0, 1234, 2, 16, 0.041)

    assert note_of(standing) == "12 of at most 60 s, 1,234 requests, 16 in flight, 2 failed, exact to 4.1%"


def test_elsewhere_than_on_a_terminal_each_phase_has_a_line() -> None:
    told: list[str] = []
    show = phase_lines(told.append)
    for phase in ("probing", "warming up", "warming up", "measuring"):
        show(Standing(phase, 0.0, 60.0, 0, 0, 0, None))

    assert told == ["probing", "warming up", "measuring"]


def test_ctrl_c_ends_a_load_at_once_and_in_good_order() -> None:
    asked = ["--model", "known", "--input-tokens", "20", "--output-tokens", "10", "--seconds", "60"]
    with serving(Behaviour(token_seconds=0.005)) as (url, _):
        start = "from service.cli.main import main; main()"
        command = [sys.executable, "-c", start, "measure", "--url", url, *asked, "--concurrency", "2"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        while "warming up" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(2)
        said = process.stderr.read()

        assert process.wait(10) == 1
        assert "interrupted" in said
        assert "Traceback" not in said
