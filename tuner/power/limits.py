"""Power as a knob: limits and locked clocks for as long as a block lasts, then what was there before.

with limited(nvml, Journal(data_dir / "power"), devices, PowerSettings(limit_watts=500)) as applied:
    …
"""

import atexit
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tuner.power import signals
from tuner.power.errors import (
    JournalError,
    NotSupportedError,
    PermissionDeniedError,
    PowerError,
    PowerInUseError,
    PowerRefusedError,
)
from tuner.power.facts import Gpu
from tuner.power.journal import Entry, Journal
from tuner.power.locks import FileLock
from tuner.power.nvml import Nvml
from tuner.power.owner import Owner
from tuner.power.restoring import is_in_use, put_back, set_limit


@dataclass(frozen=True, slots=True)
class PowerSettings:
    """What to set on each GPU: a limit in watts, a clock in MHz; `None` leaves it as it is."""

    limit_watts: float | None = None
    clock_mhz: int | None = None

    def __bool__(self) -> bool:
        return self.limit_watts is not None or self.clock_mhz is not None


@contextmanager
def limited(nvml: Nvml, journal: Journal, uuids: Sequence[str], settings: PowerSettings) -> Iterator[None]:
    """GPUs under these settings; when the block ends, by whatever way, they are as they were before.

    Raises, before anything is changed, `PowerRefusedError` for what a GPU cannot take, `PermissionDeniedError` for all
    but root, `PowerInUseError` where another owner controls it, `JournalError` where nothing can be written down; at
    the end, `JournalError` where a GPU could not be put back: its entry stays for `paretune power restore`.
    """
    if not settings:
        yield
        return
    for uuid in uuids:
        check(nvml, uuid, settings)
    with signals.ending_orderly(), ExitStack() as undone:
        for uuid in uuids:
            undone.enter_context(_changed(nvml, journal, uuid, settings))
        yield


def check(nvml: Nvml, uuid: str, settings: PowerSettings) -> None:
    """Raises `PowerRefusedError` or `PermissionDeniedError` where a GPU cannot take the settings; changes nothing."""
    gpu = next((found for found in nvml.gpus if found.uuid == uuid), None)
    if settings.limit_watts is not None:
        bounds = nvml.power_bounds(uuid)
        if not bounds.min_watts <= settings.limit_watts <= bounds.max_watts:
            raise PowerRefusedError(
                f"power_limit_watts {settings.limit_watts:g} is outside what {gpu or uuid} takes: "
                f"{bounds.min_watts:g} to {bounds.max_watts:g} W"
            )
    if settings.clock_mhz is not None:
        _check_clock(nvml.graphics_clocks_mhz(uuid), settings.clock_mhz, gpu, uuid)
    if not may_control(nvml, uuid):
        raise PermissionDeniedError(
            "power limits and clocks are for root alone; run paretune's worker as root, or leave allow_power_control out"
        )


def may_control(nvml: Nvml, uuid: str) -> bool:
    """Whether this process may set power limits: the one that is set is set once more, which changes nothing.

    Raises `NvmlError` for a GPU that does not answer.
    """
    try:
        nvml.set_power_limit(uuid, nvml.power_limit_watts(uuid))
    except PermissionDeniedError:
        return False
    except NotSupportedError:
        # a GPU without a limit: what may be done shows when its clocks are locked
        return True
    return True


def _check_clock(clocks: Sequence[int], asked: int, gpu: Gpu | None, uuid: str) -> None:
    if asked in clocks:
        return
    if not clocks:
        raise PowerRefusedError(f"{gpu or uuid} does not say which clocks it takes; leave gpu_clock_mhz out")
    near = min(clocks, key=lambda clock: abs(clock - asked))
    raise PowerRefusedError(
        f"gpu_clock_mhz {asked} is none of the clocks of {gpu or uuid}: {clocks[0]} to {clocks[-1]} MHz, the nearest {near}"
    )


@contextmanager
def _changed(nvml: Nvml, journal: Journal, uuid: str, settings: PowerSettings) -> Iterator[None]:
    with journal.lock(uuid) as lock:
        change = _Change(nvml, journal, lock, uuid, settings)
        atexit.register(change.undo)
        try:
            try:
                change.make()
                yield
            finally:
                change.undo()
        finally:
            # a signal may have cut the line above at its very beginning
            change.undo()
            atexit.unregister(change.undo)


class _Change:
    """The change of one GPU, written down before it is made."""

    def __init__(self, nvml: Nvml, journal: Journal, lock: FileLock, uuid: str, settings: PowerSettings) -> None:
        self._nvml = nvml
        self._journal = journal
        self._lock = lock
        self._uuid = uuid
        self._settings = settings
        self._entry: Entry | None = None

    def make(self) -> None:
        """Puts back what a dead owner left, writes down what is set, and sets what is asked."""
        with signals.deferred():
            if is_in_use(self._journal, self._lock, self._uuid):
                raise PowerInUseError(
                    f"another paretune controls the power of GPU {self._uuid} now; wait for it, or stop it"
                )
            left = self._journal.entry(self._uuid)
            if left is not None:
                put_back(self._nvml, self._journal, left)
            self._entry = self._present()
            self._journal.write(self._entry)
        _apply(self._nvml, self._uuid, self._settings)

    def undo(self) -> None:
        """Sets what was there before; safe to call again. Raises `JournalError` when it cannot."""
        with signals.deferred():
            if self._entry is None:
                return
            entry, self._entry = self._entry, None
            try:
                put_back(self._nvml, self._journal, entry)
            except PowerError as error:
                raise JournalError(
                    f"the power of GPU {self._uuid} is not as it was ({error}); `paretune power restore` tries again"
                ) from error

    def _present(self) -> Entry:
        name = next((gpu.name for gpu in self._nvml.gpus if gpu.uuid == self._uuid), self._uuid)
        limit = None if self._settings.limit_watts is None else self._nvml.power_limit_watts(self._uuid)
        return Entry(self._uuid, name, Owner.me(), limit, unlock_clocks=self._settings.clock_mhz is not None)


def _apply(nvml: Nvml, uuid: str, settings: PowerSettings) -> None:
    if settings.limit_watts is not None:
        set_limit(nvml, uuid, settings.limit_watts)
    if settings.clock_mhz is not None:
        nvml.lock_clocks(uuid, settings.clock_mhz)
