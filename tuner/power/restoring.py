"""Puts back what a paretune that was killed left set on GPUs."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tuner.power.errors import JournalError, PowerError, PowerRefusedError
from tuner.power.journal import Entry, Journal
from tuner.power.locks import FileLock
from tuner.power.nvml import Nvml, open_nvml

_LOG = logging.getLogger(__name__)
_SAME_WATTS: Final = 0.5
_STEP_WATTS: Final = 1.0
"""How far a driver may round a limit."""


class Outcome(StrEnum):
    """What became of an entry of the journal."""

    RESTORED = "restored"
    IN_USE = "in_use"
    ELSEWHERE = "elsewhere"
    FAILED = "failed"


_LEVELS: Final = {
    Outcome.RESTORED: logging.WARNING,
    Outcome.IN_USE: logging.INFO,
    Outcome.ELSEWHERE: logging.INFO,
    Outcome.FAILED: logging.ERROR,
}


@dataclass(frozen=True, slots=True)
class Restored:
    """One GPU of the journal, what became of it, and in words what was done or why not."""

    uuid: str
    outcome: Outcome
    detail: str


def restore_left(journal: Journal) -> list[Restored]:
    """Puts back what was left; to be called when a worker starts. Opens NVML only where there is something to do.

    Changes of an owner that lives are left alone. What cannot be put back stays in the journal (`FAILED`). Safe to call
    again, and by two processes at once.
    """
    if not journal.uuids():
        return []
    with ExitStack() as session:
        nvml: Nvml | None = None
        missing = ""
        try:
            nvml = session.enter_context(open_nvml())
        except PowerError as error:
            missing = str(error)
        return [_restored(nvml, journal, uuid, missing) for uuid in journal.uuids()]


def put_back(nvml: Nvml, journal: Journal, entry: Entry) -> str:
    """Sets a GPU as it was and forgets its entry; in words what was done. Raises `PowerError`, and keeps the entry."""
    done = []
    if entry.limit_watts is not None:
        current = nvml.power_limit_watts(entry.uuid)
        if abs(current - entry.limit_watts) >= _SAME_WATTS:
            set_limit(nvml, entry.uuid, entry.limit_watts)
            done.append(f"power limit from {current:g} W back to {entry.limit_watts:g} W")
    if entry.unlock_clocks:
        nvml.unlock_clocks(entry.uuid)
        done.append("clocks given back to the driver")
    journal.remove(entry.uuid)
    return ", ".join(done) or "nothing was changed"


def is_in_use(journal: Journal, lock: FileLock, uuid: str) -> bool:
    """Whether an owner that lives controls the power of a GPU; takes the lock where not. Raises `JournalError`.

    A lock may outlive its holder in a process that the holder forked: then the holder's identity decides.
    """
    try:
        if lock.take():
            return False
    except OSError as error:
        raise JournalError(
            f"cannot write to {journal.folder} ({error.strerror}); run as root, or set PARETUNE_DATA_DIR"
        ) from error
    entry = journal.entry(uuid)
    return entry is None or not entry.owner.is_gone()


def set_limit(nvml: Nvml, uuid: str, watts: float) -> None:
    """Sets a power limit and looks whether the GPU keeps it; raises `PowerRefusedError` when not."""
    nvml.set_power_limit(uuid, watts)
    taken = nvml.power_limit_watts(uuid)
    if abs(taken - watts) > _STEP_WATTS:
        raise PowerRefusedError(f"GPU {uuid} took a power limit of {taken:g} W for {watts:g} W; ask for what it takes")


def _restored(nvml: Nvml | None, journal: Journal, uuid: str, missing: str) -> Restored:
    try:
        with journal.lock(uuid) as lock:
            found = _tried(nvml, journal, lock, uuid, missing)
    except PowerError as error:
        found = Restored(uuid, Outcome.FAILED, str(error))
    _LOG.log(_LEVELS[found.outcome], "GPU %s: %s: %s", uuid, found.outcome.value, found.detail)
    return found


def _tried(nvml: Nvml | None, journal: Journal, lock: FileLock, uuid: str, missing: str) -> Restored:
    if is_in_use(journal, lock, uuid):
        entry = journal.entry(uuid)
        owner = "another process" if entry is None else entry.owner
        return Restored(uuid, Outcome.IN_USE, f"{owner} controls it now; stop that first")
    entry = journal.entry(uuid)
    if entry is None:
        return Restored(uuid, Outcome.RESTORED, "another process put it back")
    if nvml is None:
        return Restored(uuid, Outcome.FAILED, missing)
    if all(slot.gpu is not None and slot.gpu.uuid != uuid for slot in nvml.slots):
        return Restored(
            uuid,
            Outcome.ELSEWHERE,
            f"it is not in this machine; run this there, or remove its file in {journal.folder}",
        )
    return Restored(uuid, Outcome.RESTORED, put_back(nvml, journal, entry))
