"""Ten trials on a real engine leave nothing; `python -m benchmarks.leftovers` runs a hundred."""

from pathlib import Path

from benchmarks.leftovers import run_trials


def test_trials_leave_no_process_port_record_file_descriptor_or_thread(tmp_path: Path) -> None:
    tally = run_trials(10, tmp_path)

    assert tally.leftovers() == []
    assert tally.ended.total() == 10
    assert set(tally.ended) <= {"measured", "lost", "too_slow"}  # a busy machine cannot load it as asked
