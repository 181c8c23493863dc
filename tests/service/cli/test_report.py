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
