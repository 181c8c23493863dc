"""`paretune bench fidelity`, run as a user runs it."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from service.cli.fidelity.progress import LineProgress

SERVING = """id,backend,model_path,system,precision,mode,isl,osl,batch_size,tp_size,silicon_ttft_ms,silicon_tpot_ms
a,trtllm,Qwen/Qwen3-32B,h100_sxm,fp8,agg,256,32,4,2,60,12
b,trtllm,Qwen/Qwen3-32B,h100_sxm,fp8,disagg,256,32,4,2,60,12
c,trtllm,Qwen/Qwen3-32B,h100_sxm,fp8,agg,many,32,4,2,60,12
"""
ENERGY = """task,model_id,gpu_model,num_gpus,weight_precision,max_num_seqs,avg_output_len,avg_power_watts
lm-arena-chat,Qwen/Qwen3-14B,NVIDIA H100 80GB HBM3,1,bfloat16,8,620,443
lm-arena-chat,Qwen/Qwen3-14B,B200,1,bfloat16,8,620,
"""


def paretune(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("paretune")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    path = tmp_path / "serving.csv"
    path.write_text(SERVING, encoding="utf-8")
    return path


@pytest.fixture
def energy(tmp_path: Path) -> Path:
    path = tmp_path / "energy.csv"
    path.write_text(ENERGY, encoding="utf-8")
    return path


def test_serving_points_are_predicted_and_written_in_order(serving: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "out.csv", tmp_path / "plot.svg"
    done = paretune("bench", "fidelity", "--table", serving, "--out", out, "--plot", plot)
    assert done.returncode == 0, done.stderr
    assert "1 of 3 rows predicted; the others: 2 unsupported" in done.stdout
    assert "formula" in done.stdout
    assert "row 3: column isl must be a number, not 'many'" in done.stderr
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["failure"]) for row in rows] == [("a", ""), ("b", "unsupported"), ("c", "unsupported")]
    assert all(float(value) > 0 for name, value in rows[0].items() if name.startswith("predicted_"))
    assert ET.parse(plot).getroot().tag.endswith("svg")


def test_without_correction_only_the_simulation_speaks(serving: Path) -> None:
    done = paretune("bench", "fidelity", "--table", serving, "--no-correction", "--json")
    found = json.loads(done.stdout)
    assert found["predictions"] == "simulated"
    assert set(found["errors"]) == {"simulated", "formula"}


def test_power_points_are_predicted_with_and_without_measurements(energy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    done = paretune("bench", "fidelity", "--table", energy, "--out", out, "--json")
    found = json.loads(done.stdout)
    assert (found["kind"], found["rows"], found["predicted"], found["failures"]) == ("energy", 2, 2, {})
    (errors,) = found["errors"]["simulated"]
    assert (errors["metric"], errors["count"]) == ("power_watts_per_gpu", 1)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["predicted_energy_joules_per_output_token"]) > 0 for row in rows)
    assert [row["predicted_ttft_ms"] for row in rows] == ["", ""]


def test_a_table_without_any_measurement_has_nothing_to_compare(energy: Path) -> None:
    header, _, second = energy.read_text(encoding="utf-8").splitlines()
    energy.write_text(f"{header}\n{second}\n", encoding="utf-8")
    done = paretune("bench", "fidelity", "--table", energy)
    assert done.returncode == 0
    assert "nothing to compare with" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--table", "gone.csv"], "cannot read gone.csv"),
        (["--table", "SERVING", "--plot", "plot.png"], "ends in .svg"),
        (["--table", "SERVING", "--out", "no/such/folder.csv"], "does not exist"),
        ([], "--table"),
    ],
)
def test_bad_usage_is_said_in_one_line(serving: Path, options: list[str], said: str) -> None:
    done = paretune("bench", "fidelity", *[str(serving) if option == "SERVING" else option for option in options])
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr


def test_progress_is_told_now_and_then_with_the_time_left() -> None:
    lines: list[str] = []
    times = iter([5.0, 10.0, 11.0, 40.0])
    progress = LineProgress(lines.append, started=0.0, clock=lambda: next(times))
    for done in (10, 25, 30, 100):
        progress(done, 100)
    assert lines == ["predicting: 25 of 100 rows, 30 s left"]
