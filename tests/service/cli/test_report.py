from collections.abc import Callable

from service.cli.report import page
from service.cli.results import Results
from service.client import JobAnswer, TrialAnswer


def test_every_text_of_the_user_is_escaped(job: JobAnswer, point: Callable[..., TrialAnswer]) -> None:
    evil = "<script>alert(1)</script>"
    job["spec"] |= {"name": evil, "model": evil}
    points = [point(0, 1.0, 9.0, weights=evil), point(1, 2.0, 8.0)]
    results = Results(
        job, {"objectives": ["cost", "tpot"], "hypervolume": 0.5, "points": points}, {"cheapest": points[0]}
    )

    html = page(results)

    assert "<script" not in html
    assert html.count("<circle") == 2


def test_a_job_without_a_feasible_configuration_has_a_page_too(job: JobAnswer) -> None:
    results = Results(job, {"objectives": ["cost"], "hypervolume": None, "points": []}, {})

    assert "No configuration meets the constraints" in page(results)


def test_measured_figures_have_their_intervals_and_engines_their_own_knobs(
    job: JobAnswer, point: Callable[..., TrialAnswer]
) -> None:
    measured = point(0, 1.0, 9.0, threads=2)
    measured["intervals"] = {"tpot_mean_ms": (8.5, 9.75)}
    results = Results(job, {"objectives": ["cost", "tpot"], "hypervolume": 0.5, "points": [measured]}, {})

    html = page(results)

    assert "9.00 (8.50–9.75) simulated" in html
    assert "threads 2" in html
    assert "95 % confidence interval" in html
