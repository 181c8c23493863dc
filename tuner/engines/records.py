"""What paretune started is written to disk before it starts, so that a later paretune can end what was left."""

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

from tuner.engines.errors import EngineError
from tuner.identity import Identity, identity_of, this_machine

_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class Record:
    """One run of an engine: who started it, its keeper (the leader of its process group), its port and its files.

    `run` stands in the environment of every process of the run. `machine` is where it goes on (`this_machine`): process
    numbers mean nothing elsewhere. `files` are temporary ones that end with it. `stop` is a command that ends what is
    not a process of this machine's users, such as a container.
    """

    run: str
    machine: str
    owner: Identity
    engine: str
    port: int
    files: tuple[Path, ...] = ()
    keeper: Identity | None = None
    stop: tuple[str, ...] = ()

    @classmethod
    def new(cls, engine: str, port: int, files: tuple[Path, ...] = (), stop: tuple[str, ...] = ()) -> Self:
        """A record of a run that this process is about to start; raises `EngineError` when it cannot see itself."""
        owner = identity_of(os.getpid())
        if owner is None:
            raise EngineError("this process does not see itself among the processes; mount /proc")
        return cls(uuid.uuid4().hex, this_machine(), owner, engine, port, files, stop=stop)

    def kept_by(self, keeper: Identity | None) -> Self:
        """The record once its keeper runs."""
        return replace(self, keeper=keeper)


class Ledger:
    """A folder with one file for each run that goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, record: Record) -> None:
        """Writes a record, whole or not at all; raises `EngineError` when the folder cannot be written."""
        data = asdict(record) | {"files": [str(path) for path in record.files]}
        part = self._path(record.run).with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(data), encoding="utf-8")
            part.replace(self._path(record.run))
        except OSError as error:
            raise EngineError(f"cannot write to {self.folder} ({error.strerror}); set PARETUNE_DATA_DIR") from error

    def remove(self, run: str) -> None:
        """Forgets a run that has ended."""
        self._path(run).unlink(missing_ok=True)

    def records(self) -> list[Record]:
        """The runs that are on record; a file that is no record is passed over, and stays for a person to look at."""
        found = (_read(path) for path in sorted(self.folder.glob(f"*{_SUFFIX}")))
        return [record for record in found if record is not None]

    def remove_parts(self, older_than: float) -> None:
        """Removes half-written records that were left before that time (s since the epoch)."""
        for part in self.folder.glob("*.part"):
            with suppress(FileNotFoundError):
                if part.stat().st_mtime < older_than:
                    part.unlink()

    def ports(self) -> frozenset[int]:
        """The ports of the runs on record."""
        return frozenset(record.port for record in self.records())

    def _path(self, run: str) -> Path:
        return self.folder / f"{run}{_SUFFIX}"


def _read(path: Path) -> Record | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return _record(data) if isinstance(data, Mapping) else None


def _record(data: Mapping[str, object]) -> Record | None:
    try:
        keeper = data["keeper"]
        return Record(
            run=str(data["run"]),
            machine=str(data["machine"]),
            owner=_identity(data["owner"]),
            engine=str(data["engine"]),
            port=int(str(data["port"])),
            files=tuple(Path(str(path)) for path in _listed(data["files"])),
            keeper=None if keeper is None else _identity(keeper),
            stop=tuple(str(word) for word in _listed(data.get("stop", []))),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _identity(data: object) -> Identity:
    if not isinstance(data, Mapping):
        raise TypeError("no identity")
    return Identity(int(data["pid"]), str(data["started"]))


def _listed(data: object) -> list[object]:
    if not isinstance(data, list):
        raise TypeError("no list")
    return data
