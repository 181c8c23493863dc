"""`paretune tune`, from a spec to the files."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.conftest import Sandbox

HEAVY = ("fastapi", "sqlalchemy", "optuna", "aiconfigurator_core", "torch", "moocore")


def test_runs_the_whole_path(sandbox: "Sandbox", small: str) -> None:
    """One run, for it takes seconds: into a folder that holds an earlier result and a file of the user's."""
    out = sandbox.folder / "out"
    (out / "recommendations" / "stale").mkdir(parents=True)
    (out / "mine.txt").write_text("mine")

    ended = sandbox.run("tune", sandbox.write("job.yaml", small), "--out", str(out))

    assert ended.returncode == 0, ended.stderr
    assert sandbox.gone(0)
    assert all(word in ended.stdout for word in ("Frontier", "Recommendations", "default", "cheaper", str(out)))
    result = json.loads((out / "result.json").read_text())
    assert set(result) == {"job", "search", "objectives", "frontier", "recommendations"}
    assert result["job"]["state"] == "succeeded"
    assert result["search"]["evaluated"] == result["search"]["space_size"] > 0
    frontier = {point["trial"] for point in result["frontier"]}
    assert set(result["recommendations"].values()) <= frontier
    assert numbers(out / "trials.csv") == list(range(result["search"]["evaluated"]))
    assert set(numbers(out / "frontier.csv")) == frontier
    assert "<svg" in (out / "report.html").read_text()
    assert {path.name for path in (out / "recommendations").iterdir()} == set(result["recommendations"])
    for name in result["recommendations"]:
        files = {path.name for path in (out / "recommendations" / name).iterdir()}
        assert {"trtllm-serve.yaml", "trial.json", "trial.csv"} <= files
    assert (out / "mine.txt").read_text() == "mine"
    assert not list(out.glob(".paretune-*"))


def test_impossible_limits_exit_with_3_and_say_which(sandbox: "Sandbox", small: str) -> None:
    """In a process of ours, to see too that the parent of the service imports nothing heavy."""
    out = sandbox.folder / "out"
    spec = sandbox.write("job.yaml", small.replace("tpot_mean_ms: 100", "tpot_mean_ms: 0.5"))
    script = (
        "import sys; from service.cli.main import run; code = run(sys.argv[1:]); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, "tune", spec, "--out", str(out), "--json"]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert ended.returncode == 3
    reason, heavy = ended.stderr.splitlines()[-2:]
    assert reason.startswith("paretune: no feasible configuration: tpot_mean_ms excludes")
    assert heavy == "[]"
    assert json.loads(ended.stdout) == json.loads((out / "result.json").read_text())
    assert json.loads(ended.stdout)["frontier"] == []


def test_a_wrong_spec_starts_nothing(sandbox: "Sandbox", small: str) -> None:
    wrong = small.replace("gpus: 2", "gpus: 0").replace("name: small", "nmae: small")

    ended = sandbox.run("tune", sandbox.write("job.yaml", wrong), "--out", str(sandbox.folder / "out"))

    assert ended.returncode == 2
    assert any("hardware.gpus" in line for line in ended.stderr.splitlines())
    assert any("nmae" in line and "name" in line for line in ended.stderr.splitlines())
    assert not (sandbox.folder / "out").exists()


def test_a_spec_that_the_service_refuses_exits_with_2(sandbox: "Sandbox", small: str) -> None:
    spec = sandbox.write("job.yaml", small.replace("h100_sxm", "h1000"))

    ended = sandbox.run("tune", spec)

    assert ended.returncode == 2
    assert ended.stderr.startswith("paretune: hardware.gpu")
    assert sandbox.gone(0)


def test_a_folder_that_cannot_be_written_is_refused_at_once(sandbox: "Sandbox", small: str) -> None:
    place = sandbox.write("file", "")

    ended = sandbox.run("tune", sandbox.write("job.yaml", small), "--out", str(Path(place) / "out"))

    assert ended.returncode == 2
    assert "--out" in ended.stderr


def numbers(table: Path) -> list[int]:
    """The trial numbers of a table, in its order."""
    with table.open(newline="") as file:
        return [int(row["number"]) for row in csv.DictReader(file)]
