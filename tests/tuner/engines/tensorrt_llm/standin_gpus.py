"""What a served model does to the GPUs it was given, on a machine of scripted ones; test equipment.

Each GPU of `CUDA_VISIBLE_DEVICES` has the server among its processes, draws power, and gets a line in its `uses`: when a
server began on it, and when it ended.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tuner.power.scripted import FOLDER_VARIABLE, ScriptedGpu

IDLE_WATTS = 100.0


@contextmanager
def occupied(watts: float) -> Iterator[None]:
    """The GPUs are in use; nothing happens where no machine is scripted."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    gpus = _given()
    for gpu in gpus:
        gpu.set(processes=f"{os.getpid()} {20 << 30}")
        gpu.draw(watts)
        _note(gpu, "began")
    try:
        yield
    finally:
        for gpu in gpus:
            _note(gpu, "ended")
            gpu.draw(IDLE_WATTS)
            gpu.clear("processes")


def _given() -> list[ScriptedGpu]:
    machine, uuids = os.environ.get(FOLDER_VARIABLE), os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if machine is None:
        return []
    folders = {(folder / "uuid").read_text().strip(): folder for folder in Path(machine).glob("gpu*")}
    return [ScriptedGpu(folders[uuid], uuid) for uuid in uuids.split(",") if uuid]


def _note(gpu: ScriptedGpu, what: str) -> None:
    with (gpu.folder / "uses").open("a", encoding="utf-8") as file:
        file.write(f"{what} {time.monotonic()} {os.getpid()}\n")
