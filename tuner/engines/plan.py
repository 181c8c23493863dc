"""How a server is started and told to be ready: what an engine makes of a launch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tuner.engines.base import Address, Artefact
from tuner.engines.failures import FailurePattern
from tuner.engines.hang import Patience
from tuner.trial import Failure


def _nothing_wrong(address: Address) -> Failure | None:  # noqa: ARG001
    return None


def _nothing_to_stop(port: int) -> tuple[str, ...]:  # noqa: ARG001
    return ()


def _nothing_read(log: Path) -> Mapping[str, object]:  # noqa: ARG001
    return {}


def _no_version(address: Address) -> str | None:  # noqa: ARG001
    return None


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """One server to be: `arguments` gives program and arguments for a port.

    `model`: the name it should serve the model by. `environment`: variables beside paretune's own. `ready_path`
    answers 200 once the server is ready; `check` then says what it did not take as asked, and `version` asks it for
    its version. `metrics_path`: gauges in Prometheus' text format. `files`: temporary ones that end with the server.
    `stop`: a command that ends what is not a process of ours, such as a container. `read`: facts out of the log, also
    while the server starts. `watches_health`: a ready server that answers otherwise for long has failed.
    """

    engine: str
    model: str
    arguments: Callable[[int], tuple[str, ...]]
    folder: Path
    artefact: Artefact
    start_timeout_seconds: float
    patterns: tuple[FailurePattern, ...]
    installed_version: str = "unknown"
    environment: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    ready_path: str = "/health"
    metrics_path: str | None = None
    check: Callable[[Address], Failure | None] = _nothing_wrong
    version: Callable[[Address], str | None] = _no_version
    patience: Patience = field(default_factory=Patience)
    grace_seconds: float = 10.0
    files: tuple[Path, ...] = ()
    stop: Callable[[int], tuple[str, ...]] = _nothing_to_stop
    read: Callable[[Path], Mapping[str, object]] = _nothing_read
    watches_health: bool = False
    is_container: bool = False
