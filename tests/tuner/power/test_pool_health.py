"""GPUs that are not well, not free or not cool: skipped or waited for, and the reason is said."""

import os
from collections.abc import Mapping

import pytest

from tests.tuner.power.lending import MakePool, add, at_once, uuids
from tests.tuner.power.scripted import Machine
from tuner.power.errors import TooFewGpusError

AILMENTS: Mapping[str, tuple[dict[str, float | str], str]] = {
    "ECC": ({"ecc_uncorrected": 2}, "2 memory errors that ECC could not correct"),
    "broken rows": ({"remap_failed": 1}, "broken memory rows"),
    "MIG": ({"mig": 1}, "MIG mode is on"),
    "off the bus": ({"lost": 1}, "does not answer any more"),
    "Xid": ({"xid": 119}, "Xid 119"),
}


@pytest.mark.parametrize("ailment", AILMENTS)
def test_a_gpu_that_is_not_well_is_skipped_and_the_reason_is_said(
    machine: Machine, make_pool: MakePool, ailment: str, caplog: pytest.LogCaptureFixture
) -> None:
    properties, reason = AILMENTS[ailment]
    add(machine, 2)
    pool = make_pool()
    machine.gpus[0].set(**properties)
    assert at_once(pool, 1) == uuids(machine, 1)
    [skipped] = pool.survey().skipped
    assert reason in str(skipped)
    assert reason in caplog.text
    with pytest.raises(TooFewGpusError, match="2 GPUs are needed and 1 can be used here.*" + reason), pool.take(2):
        pass


def test_a_gpu_that_was_lost_before_the_worker_started_is_told_too(machine: Machine, make_pool: MakePool) -> None:
    machine.add(lost=1)
    machine.add()
    [skipped] = make_pool().survey().skipped
    assert (skipped.index, skipped.gpu) == (0, None)


def test_a_fault_of_a_program_does_not_speak_against_the_gpu(machine: Machine, make_pool: MakePool) -> None:
    add(machine, 1)
    pool = make_pool()
    machine.gpus[0].set(xid=31)
    assert at_once(pool, 1) == uuids(machine, 0)


HINDRANCES: Mapping[str, tuple[dict[str, float | str], str]] = {
    "foreign process": ({"processes": f"{os.getpid()} 1048576", "memory_used_mib": 500}, f"process {os.getpid()}"),
    "unseen process": ({"memory_used_mib": 3000}, "2.9 GiB are in use by a process that is not seen from here"),
    "heat": ({"throttle": 0x20, "celsius": 91}, "throttled while idle .thermal at 91 °C"),
}


@pytest.mark.parametrize("hindrance", HINDRANCES)
def test_a_gpu_that_others_use_or_that_is_hot_is_waited_for_then_left_out(
    machine: Machine, make_pool: MakePool, hindrance: str
) -> None:
    properties, reason = HINDRANCES[hindrance]
    add(machine, 2)
    machine.gpus[0].set(**properties)
    assert at_once(make_pool(settle_seconds=30), 2) is None
    pool = make_pool(settle_seconds=0)
    assert at_once(pool, 1) == uuids(machine, 1)
    with pytest.raises(TooFewGpusError, match=reason), pool.take(2):
        pass


def test_a_lent_gpu_may_be_busy_and_hot(machine: Machine, make_pool: MakePool) -> None:
    add(machine, 1)
    pool = make_pool()
    with pool.take(1):
        machine.gpus[0].set(memory_used_mib=70_000, throttle=0x20, processes="4242 1048576")
        survey = pool.survey()
        assert [gpu.uuid for gpu in survey.lent] == [*uuids(machine, 0)]
        assert (survey.hindered, survey.skipped) == ((), ())
