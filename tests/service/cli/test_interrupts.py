import os
import signal
from collections.abc import Iterator

import pytest

from service.cli.interrupts import SIGNALS, Interrupted, become_interruptible, shielded


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    become_interruptible()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts(number: signal.Signals) -> None:
    with pytest.raises(Interrupted, match=number.name):
        os.kill(os.getpid(), number)


def test_the_first_signal_is_enough() -> None:
    with pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGINT)

    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_shielded_stretch_runs_to_its_end_first() -> None:
    done = []

    with pytest.raises(Interrupted), shielded():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        done.append("all")

    assert done == ["all"]


def test_shields_may_stand_in_shields() -> None:
    done = []

    with pytest.raises(Interrupted), shielded():  # noqa: PT012
        with shielded():
            os.kill(os.getpid(), signal.SIGINT)
        done.append("all")

    assert done == ["all"]
