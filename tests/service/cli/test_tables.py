import io
from collections.abc import Callable

import pytest
from rich.console import Console

from service.cli.tables import Row, distinct, metrics_shown, print_picks, print_rows, thinned
from service.client import TrialAnswer

Point = Callable[..., TrialAnswer]


def test_equal_points_are_collapsed(point: Point) -> None:
    points = [point(0, 1.0), point(1, 1.0), point(2, 2.0)]

    assert [(first["number"], count) for first, count in distinct(points)] == [(0, 2), (2, 1)]


def test_many_points_are_thinned_and_the_recommended_ones_stay(point: Point) -> None:
    points = [point(number, 1.0 + number) for number in range(100)]

    shown = [found["number"] for found in thinned(points, frozenset({37, 99}), most=15)]

    assert len(shown) == 15
    assert {0, 37, 99} <= set(shown)
    assert shown == sorted(shown)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_tables_fit_the_terminal(point: Point, width: int) -> None:
    rows = [
        Row.of(f"trial {number}", point(number, replicas=number + 1, weights=f"w{number}", concurrency=8 * number,
                                        gpu=f"gpu_{number}", max_num_tokens=2048 * number, chunked_prefill=number > 1))
        for number in range(3)
    ]  # fmt: skip
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, highlight=False)
    metrics = metrics_shown(["cost", "energy", "tpot"], ["ttft_p95_ms", "tpot_p95_ms"])

    print_rows(console, "trial", rows, metrics)
    print_picks(console, "pick", rows, metrics)

    assert max(len(line.rstrip()) for line in out.getvalue().splitlines()) <= width
    assert "…" not in out.getvalue()
    assert "TTFTˢ" in out.getvalue()


def test_mixed_provenance_marks_each_figure(point: Point) -> None:
    measured = point(1)
    measured["provenance"]["tpot_mean_ms"] = "measured"
    out = io.StringIO()

    print_rows(Console(file=out, width=120), "trial", [Row.of("0", point(0)), Row.of("1", measured)], ["tpot_mean_ms"])

    assert "10.0ˢ" in out.getvalue()
    assert "10.0ᴹ" in out.getvalue()


def test_a_measured_figure_has_the_half_width_of_its_interval(point: Point) -> None:
    exact, rough = point(0, tpot=10.0, threads=1), point(1, tpot=20.0, threads=2)
    exact["intervals"], rough["intervals"] = {"tpot_mean_ms": (9.75, 10.2)}, {"tpot_mean_ms": (15.0, 50.0)}
    out = io.StringIO()

    rows = [Row.of("0", exact), Row.of("1", rough)]
    print_rows(Console(file=out, width=120), "trial", rows, ["tpot_mean_ms", "ttft_mean_ms"])

    assert "10.0 ±2.5%" in out.getvalue()
    assert "20.0 ±150%" in out.getvalue()
    assert "±: half width" in out.getvalue()
    assert "threads" in out.getvalue()
    assert "40.0 " in out.getvalue()
