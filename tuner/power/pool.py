"""A worker's GPUs: those that are well are lent to trials, never to two at once.

with open_pool(data_dir / "gpus", os.environ) as pool:
    with pool.take(2, cancelled) as devices:     # UUIDs, for CUDA_VISIBLE_DEVICES and for the meter
        …
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuner.power.errors import NvmlMissingError, PowerError, TakeCancelledError, TooFewGpusError
from tuner.power.facts import Gpu
from tuner.power.grouping import best_group, width
from tuner.power.health import ailment, hindrance, is_fault_of_gpu
from tuner.power.locks import FileLock
from tuner.power.nvml import Nvml, open_nvml
from tuner.power.visible import visible_gpus

Cancelled = Callable[[], bool]
Xids = Callable[[], tuple[tuple[str, int], ...]]

_LOG = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.2
_SETTLE_SECONDS: Final = 30.0
"""How long memory may take to be free after a server of tens of GiB was killed."""


def never() -> bool:
    """Nobody cancels."""
    return False


@dataclass(frozen=True, slots=True)
class Skipped:
    """A GPU that gets no trial, and why, with the mend; `gpu` is `None` where the driver does not show it any more."""

    index: int
    gpu: Gpu | None
    reason: str

    def __str__(self) -> str:
        return f"{self.gpu or f'GPU {self.index}'}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Survey:
    """The worker's GPUs at one moment.

    `free` may be lent now; `lent` are in use by trials; `hindered` wait for memory, for another's process or for
    cooling; `skipped` are not well.
    """

    free: tuple[Gpu, ...]
    lent: tuple[Gpu, ...]
    hindered: tuple[Skipped, ...]
    skipped: tuple[Skipped, ...]


class GpuPool:
    """Lends GPUs to the trials of one worker; workers of one host share `folder`, and so never a GPU."""

    def __init__(
        self,
        nvml: Nvml | None,
        folder: Path,
        environment: Mapping[str, str],
        xids: Xids = tuple,
        settle_seconds: float = _SETTLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises `VisibleGpusError` where the environment names GPUs that are not here."""
        self._nvml = nvml
        self.folder = folder
        self._xids = xids
        self._settle_seconds = settle_seconds
        self._clock = clock
        self._faults: dict[str, str] = {}
        self._hindered_since: dict[str, float] = {}
        self._told: dict[int, str] = {}
        self._distances: dict[tuple[str, str], int] = {}
        self.gpus: tuple[Gpu, ...] = () if nvml is None else visible_gpus(nvml.gpus, environment)
        self._lost = () if nvml is None else tuple(slot for slot in nvml.slots if slot.gpu is None)

    def __len__(self) -> int:
        return len(self.gpus)

    @property
    def nvml(self) -> Nvml:
        """The session that the pool looks through; raises `NvmlMissingError` without one."""
        if self._nvml is None:
            raise NvmlMissingError("NVML is missing; install the NVIDIA driver")
        return self._nvml

    def survey(self) -> Survey:
        """How the GPUs are now."""
        with ExitStack() as briefly:
            return self._assessed(briefly)

    def shortage(self, count: int) -> TooFewGpusError | None:
        """Why so many GPUs cannot be had here, and what each that is skipped lacks; `None` when they can, now or later."""
        survey = self.survey()
        possible = len(survey.free) + len(survey.lent) + len(survey.hindered)
        return None if possible >= count else self._too_few(count, possible, survey)

    @contextmanager
    def take(self, count: int, cancelled: Cancelled = never) -> Iterator[tuple[str, ...]]:
        """The UUIDs of `count` GPUs, in the order they should be named; nobody else gets them until the block ends.

        Waits while they are lent, while their memory is not free yet, and for neighbours rather than for GPUs across
        a slower link. One taker waits at a time, so that large groups do not starve. Raises `TooFewGpusError` when so
        many will never be free, `TakeCancelledError` when asked to stop.
        """
        if count == 0:
            yield ()
            return
        with ExitStack() as held:
            yield self._waited_for(count, cancelled, held)

    def _waited_for(self, count: int, cancelled: Cancelled, held: ExitStack) -> tuple[str, ...]:
        with FileLock(self.folder / f"turn-{os.uname().nodename}.lock") as turn:
            while not self._locked(turn):
                _pause(cancelled)
            self._hindered_since.clear()
            while (group := self._free_group(count, held)) is None:
                _pause(cancelled)
        return group

    def _free_group(self, count: int, held: ExitStack) -> tuple[str, ...] | None:
        """A group that is free at this moment, locked; raises `TooFewGpusError` when there will be none."""
        with ExitStack() as briefly:
            survey = self._assessed(briefly)
        free = [gpu.uuid for gpu in survey.free]
        hopeful = [*survey.lent, *(one.gpu for one in survey.hindered if one.gpu and not self._is_stuck(one.gpu))]
        possible = sorted([*survey.free, *hopeful], key=self.gpus.index)
        best = best_group([gpu.uuid for gpu in possible], count, self._distance)
        if best is None:
            raise self._too_few(count, len(possible), survey)
        group = best_group(free, count, self._distance)
        if group is None or width(group, self._distance) > width(best, self._distance):
            return None
        with ExitStack() as taken:
            if all(self._lock(uuid, taken) for uuid in group):
                held.push(taken.pop_all())
                return group
        return None

    def _assessed(self, holder: ExitStack) -> Survey:
        """The state of each GPU; those that no trial uses are locked by `holder`, so that it does not change."""
        self._note_critical_errors()
        free, lent, hindered = [], [], []
        skipped = [Skipped(slot.index, None, slot.problem or "does not answer") for slot in self._lost]
        for gpu in self.gpus:
            if reason := self._faults.get(gpu.uuid) or ailment(self.nvml, gpu.uuid):
                skipped.append(Skipped(gpu.index, gpu, reason))
            elif not self._lock(gpu.uuid, holder):
                lent.append(gpu)
            elif reason := hindrance(self.nvml, gpu.uuid):
                self._hindered_since.setdefault(gpu.uuid, self._clock())
                hindered.append(Skipped(gpu.index, gpu, reason))
                continue
            else:
                free.append(gpu)
            self._hindered_since.pop(gpu.uuid, None)
        self._tell(skipped)
        return Survey(tuple(free), tuple(lent), tuple(hindered), tuple(sorted(skipped, key=lambda one: one.index)))

    def _note_critical_errors(self) -> None:
        for uuid, xid in self._xids():
            if is_fault_of_gpu(xid):
                self._faults[uuid] = f"critical error Xid {xid} since this worker started; see `dmesg`, then reset it"

    def _tell(self, skipped: Sequence[Skipped]) -> None:
        """Says once of each GPU why it is skipped."""
        for one in skipped:
            if self._told.get(one.index) != one.reason:
                self._told[one.index] = one.reason
                _LOG.warning("no trial runs on %s", one)

    def _lock(self, uuid: str, holder: ExitStack) -> bool:
        lock = FileLock(self.folder / f"{uuid}.lock")
        if not self._locked(lock):
            return False
        holder.enter_context(lock)
        return True

    def _locked(self, lock: FileLock) -> bool:
        try:
            return lock.take()
        except OSError as error:
            raise PowerError(f"cannot write to {self.folder} ({error.strerror}); set PARETUNE_DATA_DIR") from error

    def _is_stuck(self, gpu: Gpu) -> bool:
        now = self._clock()
        return now - self._hindered_since.get(gpu.uuid, now) >= self._settle_seconds

    def _distance(self, one: str, other: str) -> int:
        pair = (min(one, other), max(one, other))
        if pair not in self._distances:
            self._distances[pair] = self.nvml.distance(*pair)
        return self._distances[pair]

    def _too_few(self, count: int, possible: int, survey: Survey) -> TooFewGpusError:
        reasons = [str(one) for one in (*survey.skipped, *survey.hindered)]
        why = "; ".join(reasons) or self._why_empty()
        return TooFewGpusError(f"{count} GPUs are needed and {possible} can be used here ({why})")

    def _why_empty(self) -> str:
        if self._nvml is None:
            return "NVML is missing; install the NVIDIA driver, or pass the GPUs into the container"
        return f"{len(self.gpus)} of {len(self._nvml.slots)} GPUs are visible to this worker; see CUDA_VISIBLE_DEVICES"


@contextmanager
def open_pool(folder: Path, environment: Mapping[str, str]) -> Iterator[GpuPool]:
    """The pool of a worker for as long as it runs; an empty one where NVML is missing."""
    with ExitStack() as session:
        try:
            nvml = session.enter_context(open_nvml())
        except NvmlMissingError:
            yield GpuPool(None, folder, environment)
            return
        yield GpuPool(nvml, folder, environment, session.enter_context(nvml.listening()))


def names_of(gpus: Sequence[Gpu]) -> str:
    """GPU models with their counts, for people: `8 x NVIDIA H100`."""
    names = [gpu.name for gpu in gpus]
    return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))


def _pause(cancelled: Cancelled) -> None:
    if cancelled():
        raise TakeCancelledError("the wait for GPUs was called off")
    time.sleep(_LOOK_SECONDS)
