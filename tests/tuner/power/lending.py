"""Words of the tests of the pool and of limits."""

import subprocess
from collections.abc import Callable

from tests.tuner.power.scripted import Machine
from tuner.power.errors import TakeCancelledError
from tuner.power.pool import GpuPool

MakePool = Callable[..., GpuPool]
StartOwner = Callable[[], "subprocess.Popen[str]"]


def uuids(machine: Machine, *numbers: int) -> tuple[str, ...]:
    return tuple(machine.gpus[number].uuid for number in numbers)


def add(machine: Machine, count: int) -> None:
    for _ in range(count):
        machine.add()


def at_once(pool: GpuPool, count: int) -> tuple[str, ...] | None:
    """What the pool lends without waiting; `None` when it would wait."""
    try:
        with pool.take(count, lambda: True) as devices:
            return devices
    except TakeCancelledError:
        return None
