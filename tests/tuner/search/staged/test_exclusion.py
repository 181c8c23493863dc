"""What failed is not tried again, nor what is like it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tuner.search.staged.conftest import Machine
from tuner.search.staged.exclusion import LOST_TRIES, open_rows
from tuner.search.staged.history import Observation
from tuner.trial import FailureKind


@settings(max_examples=40, deadline=None)
@given(row=st.integers(0, 71))
def test_no_heavier_load_is_tried_after_out_of_memory(machine: Machine, row: int) -> None:
    landscape = machine.landscape()
    left = open_rows(landscape, [Observation(0, row, {}, FailureKind.OUT_OF_MEMORY)], ())
    failed = machine.configurations[row]
    for other, configuration in enumerate(machine.configurations):
        same = (configuration.tensor_parallel, configuration.weights) == (failed.tensor_parallel, failed.weights)
        assert left[other] == (not (same and configuration.concurrency >= failed.concurrency))


def test_an_unsupported_deployment_is_left_alone_under_every_load(machine: Machine) -> None:
    left = open_rows(machine.landscape(), [Observation(0, 0, {}, FailureKind.UNSUPPORTED)], ())
    assert not left[:9].any()
    assert left[9:].all()


def test_two_crashes_condemn_a_deployment_unless_it_ran(machine: Machine) -> None:
    crashes = [Observation(n, n, {}, FailureKind.CRASHED) for n in (0, 1)]
    assert not open_rows(machine.landscape(), crashes, ())[:9].any()
    assert open_rows(machine.landscape(), [*crashes, Observation(2, 2, machine.truth[2])], ())[3:9].all()


def test_a_lost_row_is_tried_again_but_not_for_ever(machine: Machine) -> None:
    lost = [Observation(n, 5, {}, FailureKind.LOST) for n in range(LOST_TRIES)]
    assert open_rows(machine.landscape(), lost[:-1], ())[5]
    assert not open_rows(machine.landscape(), lost, ())[5]
