"""GPUs that engines are measured on: lent from the worker's pool, metered by NVML, limited where that is allowed."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from tuner.configuration import Configuration
from tuner.errors import SpecError
from tuner.evaluators.source import Workshop
from tuner.power.energy import EnergySource
from tuner.power.errors import PowerError, TooFewGpusError
from tuner.power.gpu_energy import GpuEnergy
from tuner.power.journal import Journal, journal_of
from tuner.power.limits import PowerSettings, limited, may_control
from tuner.power.pool import GpuPool, names_of, open_pool
from tuner.power.rapl import RaplEnergy
from tuner.power.restoring import restore_left
from tuner.space.board_names import gpu_type
from tuner.space.hardware import find_gpu
from tuner.spec import JobSpec

LENT_FOLDER = "gpus"
"""Where in the machine's folder the locks of GPUs in use lie."""


@contextmanager
def open_gpu_host(
    spec: JobSpec, workshop: Workshop, environment: Mapping[str, str] = os.environ
) -> Iterator["GpuHost"]:
    """The GPUs of this worker for a job; what an earlier paretune left set on them is put back first.

    Raises `PowerError` where no GPU can be used, `SpecError` for GPUs of another type than the job's and for power
    knobs that may not be set here.
    """
    journal = journal_of(workshop.machine_folder)
    restore_left(journal)
    with open_pool(workshop.machine_folder / LENT_FOLDER, environment) as pool:
        shortage = pool.shortage(1)
        if shortage is not None:
            raise TooFewGpusError(f"{shortage}; `paretune doctor` checks this machine")
        _check_type(pool, spec)
        if spec.power_knobs:
            _check_control(pool, workshop)
        yield GpuHost(pool, journal)


class GpuHost:
    """GPUs of one type, lent to as many servers as fit."""

    def __init__(self, pool: GpuPool, journal: Journal) -> None:
        self._pool, self._journal = pool, journal
        self._type = gpu_type(pool.gpus[0].name)
        self._shortages: dict[int, str | None] = {}
        self._packages = _packages()
        survey = pool.survey()
        self._usable = [*survey.free, *survey.lent, *(one.gpu for one in survey.hindered if one.gpu is not None)]

    @property
    def driver(self) -> str:
        """NVIDIA's driver."""
        return self._pool.nvml.driver_version

    @property
    def slots(self) -> int:
        """One measurement a GPU."""
        return len(self._usable)

    def has_room(self, running: Sequence[Configuration]) -> bool:
        """Whether a GPU is left; a measurement that needs more than are left waits for them."""
        return sum(configuration.gpus_per_replica for configuration in running) < len(self._usable)

    def refused(self, configuration: Configuration) -> str | None:
        """Another type of GPU, or more of them than can be used here."""
        if self._type is not None and _folded(configuration.gpu) != self._type:
            return f"it is for {configuration.gpu}, and this machine has {names_of(self._pool.gpus)}"
        count = configuration.gpus_per_replica
        if count not in self._shortages:
            shortage = self._pool.shortage(count)
            self._shortages[count] = None if shortage is None else str(shortage)
        return self._shortages[count]

    def is_empty(self) -> bool:
        """Whether every GPU is lost or ill by now."""
        return self._pool.shortage(1) is not None

    def no_energy(self) -> str | None:
        """That a GPU tells neither energy nor power."""
        try:
            self.energy_of(tuple(gpu.uuid for gpu in self._usable))
        except PowerError as error:
            return str(error)
        return None

    @contextmanager
    def taken(self, configuration: Configuration, cancelled: Callable[[], bool]) -> Iterator[tuple[str, ...]]:
        """UUIDs of GPUs for one replica."""
        with self._pool.take(configuration.gpus_per_replica, cancelled) as devices:
            yield devices

    def energy_of(self, devices: tuple[str, ...]) -> EnergySource | None:
        """By the GPUs' counters; by samples of power for those without."""
        return GpuEnergy(self._pool.nvml, devices)

    def energy_beside(self) -> EnergySource | None:
        """The packages of the host."""
        return self._packages

    def powered(self, devices: tuple[str, ...], configuration: Configuration) -> AbstractContextManager[None]:
        """Under the limit and the clock that the configuration names."""
        settings = PowerSettings(configuration.power_limit_watts, configuration.gpu_clock_mhz)
        return limited(self._pool.nvml, self._journal, devices, settings)


def _check_type(pool: GpuPool, spec: JobSpec) -> None:
    boards = {gpu.name for gpu in pool.gpus}
    if len(boards) > 1:
        raise SpecError.of(
            "hardware.gpu",
            f"GPUs of several models are visible to this worker ({names_of(pool.gpus)}); leave those of one in "
            "CUDA_VISIBLE_DEVICES",
        )
    held = gpu_type(boards.pop())
    if held is not None and held not in {_folded(name) for name in spec.hardware.gpu}:
        raise SpecError.of(
            "hardware.gpu", f"this machine has {names_of(pool.gpus)}, not {', '.join(spec.hardware.gpu)}; say {held}"
        )


def _check_control(pool: GpuPool, workshop: Workshop) -> None:
    if not workshop.allow_power_control:
        raise SpecError.of(
            "allow_power_control",
            "is off on this worker; its operator may set PARETUNE_ALLOW_POWER_CONTROL=true, or leave "
            "power_limit_watts and gpu_clock_mhz out of space",
        )
    if not all(may_control(pool.nvml, gpu.uuid) for gpu in pool.survey().free):
        raise SpecError.of(
            "allow_power_control",
            "power limits and clocks are for root alone; run paretune's worker as root, or leave "
            "power_limit_watts and gpu_clock_mhz out of space",
        )


def _folded(name: str) -> str:
    """The name of a GPU type as the table of boards writes it."""
    try:
        return find_gpu(name).name
    except SpecError:
        return name.strip().lower().replace("-", "_").replace(" ", "_")


def _packages() -> RaplEnergy | None:
    try:
        return RaplEnergy.of_machine()
    except PowerError:
        return None
