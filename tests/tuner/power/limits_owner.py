"""Changes the power of every GPU, as a worker does, and dies where it is told to.

python -m tests.tuner.power.limits_owner JOURNAL hold [SIGNAL]      changes, says so, and waits for a signal
python -m tests.tuner.power.limits_owner JOURNAL kill PROGRAM…      for each line in turn: change, be killed there, restore

`kill` forks a child for each line of tuner/power that runs from the first change to the end; the child kills
itself when it comes to that line, and the parent looks at what is left and puts it back. One line of JSON tells all.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tuner.power import limits
from tuner.power.journal import Journal
from tuner.power.limits import PowerSettings, limited
from tuner.power.nvml import open_nvml
from tuner.power.restoring import Outcome, restore_left

SETTINGS = PowerSettings(limit_watts=450, clock_mhz=1500)
TRACED = str(Path(limits.__file__).parent)

State = tuple[tuple[float, float | None], ...]
"""Limit in watts and locked clock of each GPU."""


def main() -> None:
    """Does what the command line says."""
    folder, what = Path(sys.argv[1]), sys.argv[2]
    if what == "hold":
        hold(folder)
    else:
        print(json.dumps(kill_everywhere(folder)))


def hold(folder: Path) -> None:
    """Changes, and waits."""
    with open_nvml() as nvml, limited(nvml, Journal(folder), [gpu.uuid for gpu in nvml.gpus], SETTINGS):
        print("changed", flush=True)
        time.sleep(60)


def kill_everywhere(folder: Path) -> dict[str, Any]:
    """Kills a child at each line in turn; counts what it left, and names the lines after which something was wrong."""
    before, journal = state(), Journal(folder)
    left, wrong = Counter[str](), list[str]()
    with open_nvml():
        # so that the children do not load it each anew
        pass
    line = 0
    while _is_killed_at(line, journal):
        dirty = state() != before
        left["dirty" if dirty else "clean"] += 1
        if dirty and not journal.uuids():
            wrong.append(f"line {line}: changed, and nothing was written down")
        for attempt in ("restored", "restored again"):
            outcomes = {one.outcome for one in restore_left(journal)} - {Outcome.RESTORED}
            if state() != before or journal.uuids() or outcomes:
                wrong.append(f"line {line}: {attempt}, but {state()} {journal.uuids()} {outcomes}")
        line += 1
    return {"lines": line, "left": dict(left), "wrong": wrong, "after": state() == before and not journal.uuids()}


def state() -> State:
    """What is set on the scripted GPUs, read without NVML."""
    machine = Path(os.environ["NVML_STUB_FOLDER"])
    return tuple(
        (_number(gpu / "power_limit_mw") or 0.0, _number(gpu / "locked_mhz")) for gpu in sorted(machine.glob("gpu*"))
    )


def _number(path: Path) -> float | None:
    return float(path.read_text()) if path.exists() else None


def _is_killed_at(line: int, journal: Journal) -> bool:
    """Lets a child change and be killed at a line; `False` when it came to its end before."""
    pid = os.fork()
    if pid == 0:
        try:
            with open_nvml() as nvml:
                sys.settrace(_killer(line))
                with limited(nvml, journal, [gpu.uuid for gpu in nvml.gpus], SETTINGS):
                    pass
                sys.settrace(None)
            os._exit(0)
        finally:
            # reached only by what was raised: the line above ends the child
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code > 0:
        raise RuntimeError("the child failed by itself")
    return code == -signal.SIGKILL


def _killer(at: int) -> Callable[[FrameType, str, Any], Any]:
    """A trace function that kills this process at a line of tuner/power, counted from the first of the first change."""
    seen = -1

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal seen
        if not frame.f_code.co_filename.startswith(TRACED):
            return None
        if seen < 0 and frame.f_code is limits._Change.make.__code__:
            seen = 0
        if event == "line" and seen >= 0:
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1
        return trace

    return trace


if __name__ == "__main__":
    main()
