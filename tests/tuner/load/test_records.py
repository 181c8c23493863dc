from pathlib import Path

import pytest

from tests.tuner.load.conftest import MakeRecord
from tuner.load.records import ErrorKind, read_records, write_records


def test_records_come_back_as_they_were_counted_from_the_load_s_start(tmp_path: Path, record: MakeRecord) -> None:
    path = tmp_path / "records.jsonl.gz"
    kept = [
        record(100.0, [101.0, 102.5], chunk_tokens=(1, 1)),
        record(101.0, error=ErrorKind.STALLED, detail="no token", sent=None, prompt_tokens=None),
        record(102.0, [103.0], cut=True),
    ]
    write_records(path, kept, 100.0)
    found = list(read_records(path))

    assert [one.scheduled for one in found] == [0.0, 1.0, 2.0]
    assert found[0].chunk_seconds == (1.0, 2.5)
    assert found[0].chunk_tokens == (1, 1)
    assert found[1].error is ErrorKind.STALLED
    assert [one.is_whole for one in found] == [True, False, False]


def test_a_file_is_whole_or_not_there(tmp_path: Path, record: MakeRecord) -> None:
    path = tmp_path / "records.jsonl.gz"

    def broken() -> object:
        yield record()
        raise RuntimeError("the load's own fault")

    with pytest.raises(RuntimeError):
        write_records(path, broken(), 0.0)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
