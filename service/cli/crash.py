"""What is kept of a fault of our code: its traceback in a log file, one line for the user."""

import time
import traceback
from pathlib import Path

import platformdirs


def log_folder() -> Path:
    """The folder of the command line's logs; made when it is not there."""
    return platformdirs.user_log_path("paretune", ensure_exists=True)


def crash_lines(error: Exception) -> list[str]:
    """Writes the error's traceback into a log file and says where it is."""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    if len(what) > 300:
        what = what[:300] + "…"
    try:
        path = log_folder() / f"error-{time.strftime('%Y%m%d-%H%M%S')}.log"
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return [f"failed unexpectedly ({what}); run it again with PARETUNE_DEBUG=1 to see where"]
    return [f"failed unexpectedly ({what}); report it with {path}"]


def keep_log(log: Path) -> Path | None:
    """Copies a log of a service that is about to be removed; `None` when it cannot be kept."""
    try:
        kept = log_folder() / f"{log.stem}-{time.strftime('%Y%m%d-%H%M%S')}.log"
        kept.write_bytes(log.read_bytes())
    except OSError:
        return None
    return kept
