"""What a measuring job says of its search, and the file of what it predicts."""

import csv
from pathlib import Path

from service.cli.learning import search_lines, side_by_side
from service.cli.predictions import write_predictions
from service.client.answers import PredictionAnswer, TrialAnswer

MEASURED: TrialAnswer = {
    "number": 7,
    "state": "complete",
    "configuration": {"engine": "tensorrt-llm", "gpu": "h200_sxm"},
    "metrics": {"tpot_mean_ms": 9.8, "cost_usd_per_million_output_tokens": 0.2},
    "provenance": {"tpot_mean_ms": "measured"},
    "objectives": {"tpot": 9.8},
    "intervals": {"tpot_mean_ms": (9.6, 10.0)},
    "reason": {
        "rule": "improvement",
        "simulated": {"tpot_mean_ms": 8.1},
        "predicted": {"tpot_mean_ms": {"value": 9.5, "low": 8.9, "high": 10.2}},
    },
}
PREDICTED: PredictionAnswer = {
    "place": 0,
    "configuration": {"engine": "llama.cpp", "gpu": "cpu", "threads": 4},
    "simulated": {"tpot_mean_ms": 8.0},
    "calibrated": {"tpot_mean_ms": 9.0},
    "intervals": {"tpot_mean_ms": (8.5, 9.6)},
    "chance_feasible": 0.75,
}


def test_a_pick_shows_what_was_simulated_predicted_and_measured() -> None:
    head, rows = side_by_side({"fastest": MEASURED, "balanced": MEASURED}, ["tpot"])

    assert head == ["pick (trial)", "figures", "TPOT ms"]
    assert rows == [
        ["fastest, balanced (7)", "simulated", "8.10"],
        ["", "calibrated before", "9.50 (8.90–10.2)"],
        ["", "measured", "9.80 (9.60–10.0)"],
    ]


def test_a_simulated_job_has_nothing_to_say_of_its_search() -> None:
    simulated: TrialAnswer = {**MEASURED, "reason": None}

    assert side_by_side({"fastest": simulated}, ["tpot"])[1] == []
    assert search_lines({"stopped": None, "lessons": 0, "accuracy": [], "drift": []}) == []


def test_the_search_says_why_it_stopped_and_how_wrong_the_simulator_was() -> None:
    found = search_lines(
        {
            "stopped": "no growth in 8 measurements",
            "lessons": 12,
            "accuracy": [
                {
                    "metric": "tpot_mean_ms",
                    "measurements": 20,
                    "simulated_error": 0.17,
                    "simulated_bias": -0.12,
                    "calibrated_error": 0.05,
                }
            ],
            "drift": [
                {"metric": "tpot_mean_ms", "before": 10.0, "after": 11.0, "beyond_noise": True},
                {"metric": "ttft_mean_ms", "before": 10.0, "after": 10.1, "beyond_noise": False},
            ],
        }
    )

    assert found[0] == "Stopped: no growth in 8 measurements."
    assert "12 measurements of earlier jobs" in found[1]
    assert "simulated off by 17% (median; 12% too low on average)" in found[2]
    assert "predicted before each measurement off by 5%" in found[2]
    assert "+10.0%" in found[3]
    assert len(found) == 4


def test_predictions_are_written_with_their_provenance_and_the_engines_own_knobs(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"

    write_predictions(path, [PREDICTED])

    row = next(csv.DictReader(path.open(encoding="utf-8")))
    assert (row["threads"], row["chance_feasible"]) == ("4", "0.75")
    assert (row["tpot_mean_ms"], row["provenance_tpot_mean_ms"], row["simulated_tpot_mean_ms"]) == (
        "9",
        "calibrated",
        "8",
    )
    assert (row["low_tpot_mean_ms"], row["high_tpot_mean_ms"]) == ("8.5", "9.6")


def test_without_predictions_there_is_no_file(tmp_path: Path) -> None:
    write_predictions(tmp_path / "predictions.csv", [])

    assert list(tmp_path.iterdir()) == []
