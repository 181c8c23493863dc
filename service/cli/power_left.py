"""Puts the power of GPUs back after workers of ours that were ended before they could."""

from pathlib import Path


def put_power_back(machine_folder: Path) -> None:
    """Puts back what no living process controls; what cannot be is logged and left to `paretune power restore`."""
    from tuner.power.journal import journal_of
    from tuner.power.restoring import restore_left

    restore_left(journal_of(machine_folder))
