"""GPUs as a pool: whole, well, and never lent twice."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tuner.power.lending import MakePool, add, at_once, uuids
from tests.tuner.power.scripted import Machine, environment
from tuner.power.errors import PowerError, TakeCancelledError, TooFewGpusError, VisibleGpusError
from tuner.power.pool import GpuPool, open_pool

ROOT = Path(__file__).parents[3]
HOLDER = """
import os, pathlib, sys, time
from tuner.power.pool import open_pool
with open_pool(pathlib.Path(sys.argv[1]), {}) as pool, pool.take(int(sys.argv[2])) as devices:
    print(*devices, flush=True)
    time.sleep(60)
"""

# ---- lending


def test_gpus_are_lent_once_and_come_back(machine: Machine, make_pool: MakePool) -> None:
    add(machine, 2)
    pool = make_pool()
    with pool.take(1) as first, pool.take(1) as second:
        assert {*first, *second} == {*uuids(machine, 0, 1)}
        assert at_once(pool, 1) is None
    assert at_once(pool, 2) == uuids(machine, 0, 1)


def test_no_gpu_is_asked_for_on_a_cpu(make_pool: MakePool) -> None:
    with make_pool().take(0) as devices:
        assert devices == ()


def test_an_exception_in_a_trial_gives_the_gpus_back(machine: Machine, make_pool: MakePool) -> None:
    add(machine, 1)
    pool = make_pool()
    with contextlib.suppress(ZeroDivisionError), pool.take(1):
        raise ZeroDivisionError
    assert at_once(pool, 1) == uuids(machine, 0)


def test_trials_in_threads_never_share(machine: Machine, make_pool: MakePool) -> None:
    add(machine, 3)
    pool = make_pool()
    used, shared, served = set[str](), list[str](), list[str]()

    def trial() -> None:
        with pool.take(1) as (uuid,):
            if uuid in used:
                shared.append(uuid)
            used.add(uuid)
            time.sleep(0.02)
            used.discard(uuid)
            served.append(uuid)

    threads = [threading.Thread(target=trial) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (shared, len(served)) == ([], 9)


def test_another_worker_on_the_host_gets_other_gpus_and_its_death_frees_its_own(
    machine: Machine, make_pool: MakePool, nvml_library: Path, tmp_path: Path
) -> None:
    add(machine, 2)
    pool = make_pool()
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "gpus"), "1"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(nvml_library, machine), stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        lent = other.stdout.readline().strip()
        assert lent in uuids(machine, 0, 1)
        with pool.take(1) as (mine,):
            assert mine != lent
        assert at_once(pool, 2) is None
        other.kill()
        other.wait()
    assert at_once(pool, 2) == uuids(machine, 0, 1)


def test_a_gpu_is_lent_again_only_when_its_memory_is_free(machine: Machine, make_pool: MakePool) -> None:
    add(machine, 1)
    pool = make_pool(settle_seconds=30)
    machine.gpus[0].set(memory_used_mib=60_000)
    assert at_once(pool, 1) is None
    threading.Timer(0.3, lambda: machine.gpus[0].set(memory_used_mib=4)).start()
    with pool.take(1) as devices:
        assert machine.gpus[0].get("memory_used_mib") == 4
        assert devices == uuids(machine, 0)


def test_waiting_can_be_called_off(machine: Machine, make_pool: MakePool) -> None:
    add(machine, 1)
    pool = make_pool()
    with pool.take(1), pytest.raises(TakeCancelledError), pool.take(1, lambda: True):
        pass


def test_a_waiting_taker_can_be_called_off_behind_another(machine: Machine, make_pool: MakePool) -> None:
    add(machine, 1)
    pool, stop = make_pool(), threading.Event()
    with pool.take(1):
        waiting = threading.Thread(target=_take_until, args=(pool, stop))
        waiting.start()
        assert at_once(pool, 1) is None
        stop.set()
        waiting.join(10)
        assert not waiting.is_alive()


def _take_until(pool: GpuPool, stop: threading.Event) -> None:
    with contextlib.suppress(TakeCancelledError), pool.take(1, stop.is_set):
        pass


# ---- neighbours


def test_a_group_is_of_nvlink_neighbours(machine: Machine, make_pool: MakePool) -> None:
    add(machine, 4)
    machine.link((0, 2), (1, 3))
    pool = make_pool()
    with pool.take(2) as first, pool.take(2) as second:
        assert [first, second] == [uuids(machine, 0, 2), uuids(machine, 1, 3)]


def test_a_single_gpu_is_taken_from_a_pair_that_is_broken_already(machine: Machine, make_pool: MakePool) -> None:
    add(machine, 4)
    machine.link((0, 1), (2, 3))
    pool = make_pool()
    with pool.take(1), pool.take(1) as second, pool.take(2) as pair:
        assert [second, pair] == [uuids(machine, 1), uuids(machine, 2, 3)]


def test_a_group_waits_for_neighbours_rather_than_measure_across_a_slower_link(
    machine: Machine, make_pool: MakePool
) -> None:
    add(machine, 4)
    machine.link((0, 1), (2, 3))
    pool = make_pool()
    with contextlib.ExitStack() as held:
        held.enter_context(pool.take(1))
        # the second pair breaks too: another worker holds one of it
        held.enter_context(_held(pool, machine.gpus[3].uuid))
        assert at_once(pool, 2) is None
    assert at_once(pool, 2) == uuids(machine, 0, 1)


@contextlib.contextmanager
def _held(pool: GpuPool, uuid: str) -> Iterator[None]:
    from tuner.power.locks import FileLock

    with FileLock(pool.folder / f"{uuid}.lock") as lock:
        assert lock.take()
        yield


def test_without_nvlink_a_group_stays_on_one_socket(machine: Machine, make_pool: MakePool) -> None:
    for number in range(4):
        machine.add(node=number % 2)
    assert at_once(make_pool(), 2) == uuids(machine, 0, 2)


# ---- which GPUs are the worker's


def test_a_machine_without_nvml_has_an_empty_pool(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, tmp_path: Path
) -> None:
    (machine.folder / "fail_nvmlInitWithFlags").write_text("9")
    with open_pool(tmp_path / "gpus", {}) as pool:
        assert len(pool) == 0
        with pytest.raises(TooFewGpusError, match="NVML is missing; install the NVIDIA driver"), pool.take(1):
            pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1,0", (1, 0)), ("GPU-00000002", (2,)), ("", ()), ("-1", ()), (" 2 , GPU-00000000", (2, 0))],
)
def test_the_worker_has_the_gpus_that_are_visible_to_cuda(
    machine: Machine, make_pool: MakePool, value: str, expected: tuple[int, ...]
) -> None:
    add(machine, 3)
    pool = make_pool(CUDA_VISIBLE_DEVICES=value)
    assert tuple(gpu.uuid for gpu in pool.gpus) == uuids(machine, *expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("7", "fits no GPU"),
        ("GPU-", "fits several GPUs"),
        ("0,0", "names a GPU twice"),
        ("MIG-1234", "paretune measures whole GPUs"),
        ("zero", "fits no GPU"),
    ],
)
def test_a_visible_gpu_that_cannot_be_told_is_an_error(
    machine: Machine, make_pool: MakePool, value: str, message: str
) -> None:
    add(machine, 2)
    with pytest.raises(VisibleGpusError, match=message):
        make_pool(CUDA_VISIBLE_DEVICES=value)


def test_numbers_of_unlike_gpus_need_cudas_order_to_be_that_of_the_bus(machine: Machine, make_pool: MakePool) -> None:
    machine.add(name="NVIDIA T400")
    fast = machine.add(name="NVIDIA H100 80GB HBM3")
    with pytest.raises(VisibleGpusError, match="name them by UUID"):
        make_pool(CUDA_VISIBLE_DEVICES="1")
    pool = make_pool(CUDA_VISIBLE_DEVICES="1", CUDA_DEVICE_ORDER="PCI_BUS_ID")
    assert [gpu.uuid for gpu in pool.gpus] == [fast.uuid]


def test_invisible_gpus_are_named_as_the_reason_when_there_are_too_few(machine: Machine, make_pool: MakePool) -> None:
    add(machine, 2)
    with (
        pytest.raises(TooFewGpusError, match="1 of 2 GPUs are visible to this worker"),
        make_pool(CUDA_VISIBLE_DEVICES="0").take(2),
    ):
        pass


def test_a_folder_that_cannot_be_written_is_an_error_with_the_mend(machine: Machine, tmp_path: Path) -> None:
    add(machine, 1)
    (tmp_path / "file").write_text("")
    with (
        open_pool(tmp_path / "file", {}) as pool,
        pytest.raises(PowerError, match="set PARETUNE_DATA_DIR"),
        pool.take(1),
    ):
        pass
