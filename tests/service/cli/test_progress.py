from service.cli.progress import LINE_SECONDS, LineDisplay, note_of, words_of
from service.client import JobAnswer


def test_lines_come_with_changes_and_rarely_otherwise(job: JobAnswer) -> None:
    lines: list[str] = []
    now = [0.0]
    display = LineDisplay(lines.append, lambda: now[0])
    job["state"] = "running"

    for _ in range(3):
        display.show(job)
    assert len(lines) == 1

    now[0] += LINE_SECONDS
    display.show(job)
    assert len(lines) == 2

    job["state"] = "succeeded"
    display.show(job)
    assert lines[-1].startswith("succeeded")


def test_the_note_says_how_far_and_how_long(job: JobAnswer) -> None:
    job["state"] = "running"
    job["progress"] |= {"evaluated": 1200, "planned": 2880, "frontier_size": 41, "eta_seconds": 3.2}

    assert note_of(job) == "1,200 of 2,880, frontier 41, 3 s left"


def test_the_note_says_what_the_measurements_are_at(job: JobAnswer) -> None:
    job["state"] = "running"
    job["progress"] |= {"evaluated": 0, "planned": 24, "activity": "starting the engine (autotuner)"}
    assert note_of(job) == "24 configurations, starting the engine (autotuner)"

    job["progress"] |= {"evaluated": 3, "frontier_size": 2, "eta_seconds": None, "activity": "measuring"}
    assert note_of(job) == "3 of 24, frontier 2, measuring"


def test_what_a_job_waits_for_first_is_named_by_its_evaluator(job: JobAnswer) -> None:
    job["state"] = "running"
    job["progress"] |= {"evaluated": 0}
    assert words_of(job) == "loading the kernel data"

    job["spec"] = {**job["spec"], "evaluator": "measure"}
    assert words_of(job) == "starting the engine"
