"""What measurements add: nothing where nothing is known, the same factor on a whole distribution, rates against it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.configuration import Configuration
from tuner.simulator.latency.calibration import NOT_CALIBRATED, corrected, kernel_family, shipped, subject_of
from tuner.simulator.latency.correction import (
    NO_CORRECTION,
    Correction,
    Factors,
    model_key,
    read_correction,
    terms,
    write_correction,
)
from tuner.simulator.latency.host import read_hosts

CONFIGURATION = Configuration(engine="tensorrt-llm", gpu="h200_sxm", tensor_parallel=8, weights="fp8", concurrency=64)
MODEL = "Qwen/Qwen3-32B"
FACTOR = st.floats(0.3, 3.0)


def test_switched_off_nothing_changes() -> None:
    assert NOT_CALIBRATED.factors(CONFIGURATION, MODEL, "dense", 1024, 256) == Factors()
    assert NOT_CALIBRATED.overhead(CONFIGURATION, "dense", 64).intake_ms == 0.0


def test_shipped_factors_are_moderate_and_their_spread_known() -> None:
    for concurrency in (1, 8, 64, 512):
        found = shipped().factors(replace(CONFIGURATION, concurrency=concurrency), MODEL, "dense", 1024, 256)
        assert 0.4 < found.ttft < 2.5
        assert 0.4 < found.tpot < 2.5
        assert found.tpot_spread > 0


def test_a_model_never_measured_gets_less_correction_than_one_that_was() -> None:
    def strength(model: str) -> float:
        return abs(math.log(shipped().factors(CONFIGURATION, model, "moe", 1024, 256).tpot))

    values = shipped().correction.tpot
    assert not any("NoSuchModel" in name for name in values)
    assert strength("nobody/NoSuchModel-9B") < 0.5


def test_an_engine_never_measured_has_no_host_terms() -> None:
    assert shipped().host("another").intake_ms == 0.0


def test_attention_data_parallelism_is_told_as_it_was_measured() -> None:
    subject = subject_of(replace(CONFIGURATION, attention_dp=True, expert_parallel=8), MODEL, "moe", 1024, 256)
    assert (subject.tensor_parallel, subject.attention_dp, subject.requests) == (1, 8, 8)
    assert "layout=trtllm/moe,dp" in terms(subject)


@pytest.mark.parametrize(
    ("family", "meant"), [("LLAMA", "dense"), ("MOE", "moe"), ("DEEPSEEKV32", "mla_moe"), ("QWEN35", "hybrid")]
)
def test_families_are_those_of_the_fit(family: str, meant: str) -> None:
    assert kernel_family(family) == meant


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("meta-llama/Meta-Llama-3.1-70B", "Llama-3.1-70B"),
        ("nvidia/DeepSeek-R1-0528-FP4", "DeepSeek-R1"),
        ("Qwen/Qwen3-235B-A22B-FP8", "Qwen3-235B-A22B"),
    ],
)
def test_a_model_is_known_by_its_own_name(name: str, key: str) -> None:
    assert model_key(name) == key


@given(FACTOR, FACTOR)
def test_a_factor_moves_a_whole_distribution_and_a_closed_loops_rate_against_it(ttft: float, tpot: float) -> None:
    metrics = {
        "ttft_mean_ms": 100.0,
        "ttft_p99_ms": 300.0,
        "tpot_mean_ms": 10.0,
        "itl_p95_ms": 12.0,
        "request_latency_mean_ms": 1090.0,
        "requests_per_second": 5.0,
    }
    found, rate = corrected(metrics, 500.0, Factors(ttft, tpot), 100, closed=True)
    assert found["ttft_p99_ms"] == pytest.approx(300 * ttft)
    assert found["itl_p95_ms"] == pytest.approx(12 * tpot)
    assert found["request_latency_mean_ms"] == pytest.approx(100 * ttft + 990 * tpot)
    assert rate * found["request_latency_mean_ms"] == pytest.approx(500.0 * 1090.0)
    assert found["requests_per_second"] * found["request_latency_mean_ms"] == pytest.approx(5.0 * 1090.0)


def test_an_open_loads_rate_stays() -> None:
    found, rate = corrected({"ttft_mean_ms": 1.0, "requests_per_second": 5.0}, 500.0, Factors(2, 2), 10, closed=False)
    assert (rate, found["requests_per_second"], found["ttft_mean_ms"]) == (500.0, 5.0, 2.0)
    assert "tpot_mean_ms" not in found


def test_a_correction_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "correction.json"
    write_correction(Correction({"engine=x/x": 0.25}, {}, 0.1, 0.2, "here", "2026-11-24"), path)
    assert read_correction(path).ttft == {"engine=x/x": 0.25}


def test_another_files_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"format": "else"}), encoding="utf-8")
    with pytest.raises(ValueError, match="benchmarks/fit_correction"):
        read_correction(path)
    with pytest.raises(ValueError, match="benchmarks/fit_host"):
        read_hosts(path)


def test_no_correction_is_one_everywhere() -> None:
    assert NO_CORRECTION.factors(subject_of(CONFIGURATION, MODEL, "dense", 1, 1)) == Factors()
