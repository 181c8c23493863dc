"""The processor of a machine is lent to one measurement at a time, whichever job or worker it belongs to."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tuner.configuration import Configuration
from tuner.evaluators.hosts import ProcessorHost
from tuner.power.errors import TakeCancelledError

ROW = Configuration("llama.cpp", "cpu")


def never() -> bool:
    return False


def test_a_second_job_waits_until_the_processor_is_free(tmp_path: Path) -> None:
    one, other = ProcessorHost(tmp_path), ProcessorHost(tmp_path)
    asked: list[None] = []

    def waits() -> bool:
        asked.append(None)
        return False

    def second() -> tuple[str, ...]:
        with other.taken(ROW, waits) as devices:
            return devices

    with ThreadPoolExecutor(1) as pool:
        with one.taken(ROW, never):
            waiting = pool.submit(second)
            while not asked:
                assert not waiting.done()
        assert waiting.result(timeout=30) == ()


def test_a_wait_for_the_processor_can_be_called_off(tmp_path: Path) -> None:
    one, other = ProcessorHost(tmp_path), ProcessorHost(tmp_path)

    with one.taken(ROW, never), pytest.raises(TakeCancelledError), other.taken(ROW, lambda: True):
        pass


def test_the_processor_is_free_again_after_an_error(tmp_path: Path) -> None:
    host = ProcessorHost(tmp_path)

    with pytest.raises(ZeroDivisionError), host.taken(ROW, never):
        raise ZeroDivisionError
    with host.taken(ROW, lambda: True) as devices:
        assert devices == ()
