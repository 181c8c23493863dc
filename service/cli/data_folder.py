"""Where the command line keeps what outlives it."""

import os
from pathlib import Path

import platformdirs


def data_folder() -> Path:
    """`PARETUNE_DATA_DIR`, or the platform's folder for user data, as a service has it."""
    given = os.environ.get("PARETUNE_DATA_DIR")
    return Path(given or platformdirs.user_data_dir("paretune")).expanduser().absolute()
