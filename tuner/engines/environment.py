"""The environment of an engine's process: paretune's own, without what is no business of an engine."""

from collections.abc import Mapping
from typing import Final

RUN_VARIABLE: Final = "PARETUNE_RUN"
"""Names the run in the environment of every process that it starts, also of those that leave its process group."""

_OURS: Final = frozenset(
    {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"}
)
"""Variables that say how paretune itself was started, and would lead another program's interpreter astray."""


def clean_environment(
    inherited: Mapping[str, str], added: Mapping[str, str], run: str, devices: tuple[str, ...] = ()
) -> dict[str, str]:
    """What an engine's process sees: no setting of paretune (they hold passwords), the GPUs it may use, and its run.

    Output is not buffered, so that the log of a killed process is whole.
    """
    kept = {name: value for name, value in inherited.items() if name not in _OURS and not name.startswith("PARETUNE_")}
    visible = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(devices)} if devices else {}
    return {**kept, "PYTHONUNBUFFERED": "1", **visible, **added, RUN_VARIABLE: run}
