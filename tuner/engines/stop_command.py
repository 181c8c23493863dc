"""Ends what was started outside our processes, such as a container, by a command that names it."""

import logging
import subprocess
from typing import Final

_LOG = logging.getLogger(__name__)

_SECONDS: Final = 60.0


def run_stop(command: tuple[str, ...]) -> None:
    """Runs the command; nothing happens when it is empty. What it names may be gone already: that is no error."""
    if not command:
        return
    try:
        subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _LOG.warning("could not run %s (%s); end it by hand", " ".join(command), error)
