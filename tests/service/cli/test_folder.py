import signal
from pathlib import Path

import pytest

from service.cli.errors import BadUsageError
from service.cli.folder import check_writable, filled
from service.cli.interrupts import Interrupted


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"

    with filled(out) as staging:
        (staging / "x").write_text("x")
        assert not out.exists()

    assert [path.name for path in out.iterdir()] == ["x"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_error_leaves_an_earlier_result_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")

    with pytest.raises(ZeroDivisionError), filled(tmp_path) as staging:  # noqa: PT012
        (staging / "x").write_text("new")
        raise ZeroDivisionError

    assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Interrupted), filled(tmp_path / "out") as staging:  # noqa: PT012
        (staging / "x").write_text("half")
        raise Interrupted(signal.SIGINT)

    assert list(tmp_path.iterdir()) == []


def test_folders_of_an_earlier_result_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "recommendations" / "old").mkdir(parents=True)

    with filled(tmp_path) as staging:
        (staging / "recommendations" / "new").mkdir(parents=True)

    assert [path.name for path in (tmp_path / "recommendations").iterdir()] == ["new"]


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadUsageError, match="--out"):
        check_writable(tmp_path / "file" / "out")
