"""Starts a stand-in server as paretune does, says so, and waits to be killed.

python -m tests.tuner.engines.owner LEDGER_FOLDER TRIAL_FOLDER TEMPORARY_FILE STAGE FLAG…
"""

import sys
import time
from pathlib import Path

from tuner.engines.base import Artefact
from tuner.engines.plan import ServerPlan
from tuner.engines.records import Ledger, Record
from tuner.engines.running import RunningServer

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


def main() -> None:
    """Goes as far as the stage: `recorded`, `starting` or `ready`."""
    ledger, trial, temporary, stage, *flags = sys.argv[1:]
    folder = Ledger(Path(ledger))
    file = Path(temporary)
    file.write_text("temporary")
    if stage == "recorded":
        folder.write(Record.new("command", 20_000, (file,)))
    else:
        plan = ServerPlan(
            engine="command",
            model="m",
            arguments=lambda port: (sys.executable, "-I", "-S", STAND_IN, "--port", str(port), *flags),
            folder=Path(trial),
            artefact=Artefact(None),
            start_timeout_seconds=20.0,
            patterns=(),
            grace_seconds=0.5,
            files=(file,),
        )
        running = RunningServer(plan, folder)
        if stage == "ready":
            running.wait_ready()
    print(stage, flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
