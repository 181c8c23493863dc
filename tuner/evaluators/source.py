"""Where measurements come from: rows of a table that stand for them, or engines that are started and loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tuner.configuration import Configuration
from tuner.space.replay_table import ReplayTable
from tuner.trial import Measurement

if TYPE_CHECKING:
    from tuner.engines.artefacts import Artefacts
    from tuner.engines.tensorrt_llm.installation import Installation


@dataclass(frozen=True, slots=True)
class Place:
    """What a measurement holds for beside its configuration; an empty name is not known.

    `engine_version` and `driver` are those of the machine that measures.
    """

    engine_version: str = ""
    driver: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds that starting a deployment and measuring one load of it take, before any was timed."""

    start_seconds: float = 240.0
    window_seconds: float = 180.0


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where engines are built and run: the data directory (artefacts, records of servers), and a job's own folder.

    `tensorrt_llm`: where TensorRT-LLM is installed; `artefacts`: where its artefacts are kept; defaults without.
    `machine_dir`: of GPUs in use and of their power as it was, shared by all of the machine; default: the data
    directory. `allow_power_control`: whether jobs that ask for it may set power limits and clocks here.
    """

    data_dir: Path
    folder: Path
    tensorrt_llm: "Installation | None" = None
    artefacts: "Artefacts | None" = None
    machine_dir: Path | None = None
    allow_power_control: bool = False

    @property
    def machine_folder(self) -> Path:
        """Where GPUs in use, and their power as it was, are written down."""
        return self.machine_dir or self.data_dir


class MeasurementSource(Protocol):
    """Measures configurations, several at once where there is room for them."""

    @property
    def place(self) -> Place:
        """The machine that measures."""

    @property
    def slots(self) -> int:
        """Measurements that may run at the same time at the most (count)."""

    def has_room(self, running: Sequence[Configuration]) -> bool:
        """Whether another measurement may begin beside those that run."""

    @property
    def most_repeats(self) -> int:
        """Measurements of one configuration that tell something new each (count)."""

    @property
    def in_real_time(self) -> bool:
        """Whether measuring takes the minutes that a budget counts; otherwise they are those predicted."""

    @property
    def expected(self) -> Expected:
        """What a measurement is expected to take."""

    def doing(self) -> str | None:
        """What the measurements in flight are at, in a few words; `None` where there is nothing to wait for."""

    def measure(self, configuration: Configuration, repeat: int, cancelled: Callable[[], bool]) -> Measurement:
        """One measurement; `repeat` counts the earlier ones of the same configuration.

        A configuration that does not run gives a failure. Returns early, with a failure, once `cancelled` says so.
        """


class TableSource:
    """Rows of a replay table stand for measurements."""

    def __init__(self, table: ReplayTable) -> None:
        self._table = table

    @property
    def place(self) -> Place:
        """A table does not say where it was measured."""
        return Place()

    @property
    def slots(self) -> int:
        """A row is at hand at once: nothing is gained by asking for several."""
        return 1

    def has_room(self, running: Sequence[Configuration]) -> bool:
        """One row at a time."""
        return not running

    @property
    def most_repeats(self) -> int:
        """As many as every configuration of the table has."""
        return min(len(self._table.measurements(configuration)) for configuration in self._table.configurations)

    @property
    def in_real_time(self) -> bool:
        """Reading a row takes no time."""
        return False

    @property
    def expected(self) -> Expected:
        """What it would take to measure a row."""
        return Expected()

    def doing(self) -> str | None:
        """A row is at hand at once."""
        return None

    def measure(self, configuration: Configuration, repeat: int, cancelled: Callable[[], bool]) -> Measurement:  # noqa: ARG002
        """The row of the configuration, or its next one where it has several."""
        rows = self._table.measurements(configuration)
        return rows[repeat % len(rows)]
