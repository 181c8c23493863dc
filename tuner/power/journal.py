"""What was set on a GPU before paretune changed it: on disk before the change, and until it is put back.

One file a GPU, `UUID.json`, beside a lock, `UUID.lock`, which the owner holds as long as the change lasts. The kernel
frees the lock when the owner dies, in whichever container that was; lock files stay.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tuner.power.errors import JournalError
from tuner.power.locks import FileLock
from tuner.power.owner import Owner

FOLDER: Final = "power"
"""Where in the machine's folder the journal lies."""
_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One GPU's power as it was.

    `limit_watts` is `None` where the limit is not touched. `unlock_clocks`: clocks are locked by paretune; NVML does not
    tell whether they were before, so that to put them back is to give them to the driver.
    """

    uuid: str
    name: str
    owner: Owner
    limit_watts: float | None
    unlock_clocks: bool


class Journal:
    """A folder with one entry for each GPU whose power is not as it was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def lock(self, uuid: str) -> FileLock:
        """The lock of a GPU's entry, not taken yet."""
        return FileLock(self.folder / f"{uuid}.lock")

    def write(self, entry: Entry) -> None:
        """Writes an entry; when this returns, it outlives a loss of power. Raises `JournalError`."""
        path = self._path(entry.uuid)
        part = path.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("w", encoding="utf-8") as file:
                json.dump(asdict(entry), file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            self._sync()
        except OSError as error:
            raise JournalError(f"cannot write to {self.folder} ({error.strerror}); set PARETUNE_DATA_DIR") from error

    def remove(self, uuid: str) -> None:
        """Forgets a GPU whose power is as it was; raises `JournalError`."""
        try:
            self._path(uuid).unlink(missing_ok=True)
            self._sync()
        except OSError as error:
            raise JournalError(f"cannot remove {self._path(uuid)} ({error.strerror}); remove it") from error

    def entry(self, uuid: str) -> Entry | None:
        """The entry of a GPU; raises `JournalError` for a file that is no entry."""
        path = self._path(uuid)
        try:
            return _entry(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JournalError(
                f"{path} cannot be read ({error}); look at the power of GPU {uuid} (`nvidia-smi -q -d POWER,CLOCK`), "
                "set it right, and remove the file"
            ) from error

    def uuids(self) -> tuple[str, ...]:
        """The GPUs with an entry."""
        return tuple(path.stem for path in sorted(self.folder.glob(f"*{_SUFFIX}")))

    def _path(self, uuid: str) -> Path:
        return self.folder / f"{uuid}{_SUFFIX}"

    def _sync(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def journal_of(machine_folder: Path) -> Journal:
    """The journal of a machine."""
    return Journal(machine_folder / FOLDER)


def _entry(data: Mapping[str, object]) -> Entry:
    owner, limit = data["owner"], data["limit_watts"]
    if not isinstance(owner, Mapping) or not isinstance(data["unlock_clocks"], bool):
        raise TypeError("it is no entry")
    return Entry(
        uuid=str(data["uuid"]),
        name=str(data["name"]),
        owner=Owner(str(owner["machine"]), int(owner["pid"]), str(owner["started"])),
        limit_watts=None if limit is None else float(str(limit)),
        unlock_clocks=data["unlock_clocks"],
    )
