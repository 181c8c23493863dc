"""Replay tables: measured rows that stand for measurements (CSV in the form of the public contract)."""

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from tuner.configuration import KNOBS, Configuration
from tuner.economics.cost import Tokens, with_economics
from tuner.metrics import METRICS, Provenance
from tuner.space.hardware import find_gpu
from tuner.space.lengths import lengths_of
from tuner.space.own_knobs import EngineKnob, own_knobs
from tuner.space.replay_cells import ReplayTableError, common_knob, failure, figure, own_knob, provenance
from tuner.spec import SIMULATED_ENGINES, JobSpec, Pricing
from tuner.spec_problems import near
from tuner.trial import Measurement

__all__ = ["ReplayTable", "ReplayTableError", "read_table", "table_of"]

_FAILURE: Final = "failure"
_COMMON: Final = ("number", "state", "detail")
"""Columns of our own trials table that say nothing here."""
_PROVENANCE: Final = "provenance_"
"""Begins the columns of our own trials table that say where a figure comes from."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One row of a file, and what its cells hold by column; empty ones are left out."""

    number: int
    texts: Mapping[str, str]

    def at(self, column: str) -> str:
        """Where a cell stands, for messages."""
        return f"row {self.number}, column {column}"


@dataclass(frozen=True)
class ReplayTable:
    """Measured configurations in the order of the file; a configuration that stands there twice was repeated."""

    rows: tuple[tuple[Configuration, Measurement], ...]

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """Each configuration once, in order: the space of a replay job."""
        return tuple(self._by_configuration)

    def measurements(self, configuration: Configuration) -> tuple[Measurement, ...]:
        """Every measurement of a configuration, in order; empty where the table has none."""
        return tuple(self._by_configuration.get(configuration, ()))

    @cached_property
    def _by_configuration(self) -> dict[Configuration, list[Measurement]]:
        found: dict[Configuration, list[Measurement]] = {}
        for configuration, measurement in self.rows:
            found.setdefault(configuration, []).append(measurement)
        return found


def table_of(spec: JobSpec) -> ReplayTable:
    """The replay table that a spec names, as it was when it was first read; raises `SpecError`."""
    return _table_of(spec.model_dump_json())


@lru_cache(maxsize=4)
def _table_of(spec_json: str) -> ReplayTable:
    spec = JobSpec.model_validate_json(spec_json)
    if spec.replay is None:
        raise ReplayTableError("is missing; give replay: {table: FILE}")
    lengths = lengths_of(spec.workload)
    defaults = Configuration(engine=spec.engine[0].value, gpu=_gpu(spec))
    tokens = Tokens(lengths.input_mean, lengths.output_mean)
    return read_table(Path(spec.replay.table), defaults, tokens, spec.pricing, _own_knobs(spec))


def _gpu(spec: JobSpec) -> str:
    """The job's first GPU by its full name; a machine without kernel data is called as the job calls it."""
    name = spec.hardware.gpu[0]
    return find_gpu(name).name if spec.engine[0] in SIMULATED_ENGINES else name


def _own_knobs(spec: JobSpec) -> tuple[EngineKnob, ...]:
    given = spec.command.knobs if spec.command is not None else {}
    knobs = [knob for engine in spec.engine for knob in own_knobs(engine.value, given=given)]
    return tuple(knob for knob in knobs if not knob.is_common)


def read_table(
    path: Path, defaults: Configuration, tokens: Tokens, pricing: Pricing, own: Sequence[EngineKnob] = ()
) -> ReplayTable:
    """The table of a CSV file; `defaults` fills the knobs that have no column, `own` are the engine's own knobs.

    What `trials.csv` holds beside knobs, figures and failures is understood: a figure keeps the provenance that a column
    gives it, and is measured without. Cost, energy and carbon follow from throughput and power at these prices, where the
    table has those; figures that the table holds itself are kept. Raises `ReplayTableError`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            named = {knob.name: knob for knob in own}
            header = _header(reader.fieldnames, path, named)
            lines = (_Line(number, _texts(cells, number, header)) for number, cells in enumerate(reader, 2))
            rows = tuple(_row(line, defaults, named, tokens, pricing) for line in lines)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReplayTableError(f"cannot read {path}: {error}; give a CSV file in UTF-8") from None
    if not rows:
        raise ReplayTableError(f"{path} has no rows; give at least one measured configuration")
    return ReplayTable(rows)


def _header(names: Sequence[str] | None, path: Path, own: Collection[str]) -> tuple[str, ...]:
    if not names:
        raise ReplayTableError(f"{path} is empty; its first line names the columns")
    known = {*KNOBS, *own, *METRICS, _FAILURE, *_COMMON}
    for name in names:
        if name not in known and name.removeprefix(_PROVENANCE) not in METRICS:
            raise ReplayTableError(f"{path}: column {name!r} is neither a knob nor a metric; {near(name, known)}")
        if names.count(name) > 1:
            raise ReplayTableError(f"{path}: column {name!r} stands there twice; keep one")
    if not any(name in METRICS for name in names):
        raise ReplayTableError(f"{path} has no metric column; give at least one, like tpot_mean_ms")
    return tuple(names)


def _texts(cells: Mapping[str, str | None], line: int, header: Sequence[str]) -> dict[str, str]:
    """The cells of a row that are not empty, by column."""
    if None in cells or any(cells[name] is None for name in header):
        raise ReplayTableError(f"row {line} does not have {len(header)} cells as the header has; mend its commas")
    return {name: text for name in header if (text := (cells[name] or "").strip())}


def _row(
    line: _Line, defaults: Configuration, own: Mapping[str, EngineKnob], tokens: Tokens, pricing: Pricing
) -> tuple[Configuration, Measurement]:
    knobs = {name: common_knob(text, line.at(name), name) for name, text in line.texts.items() if name in KNOBS}
    knobs |= {name: own_knob(text, line.at(name), own[name]) for name, text in line.texts.items() if name in own}
    configuration = Configuration.from_dict({**defaults.to_dict(), **knobs})
    if _FAILURE in line.texts:
        return configuration, Measurement(failure=failure(line.texts[_FAILURE], line.at(_FAILURE)))
    metrics, sources = {}, {}
    for name in METRICS:
        if name in line.texts:
            told = line.texts.get(f"{_PROVENANCE}{name}")
            sources[name] = provenance(told, line.at(f"{_PROVENANCE}{name}")) if told else Provenance.MEASURED
            metrics[name] = figure(line.texts[name], line.at(name), zero_is_known=told is not None)
    if not metrics:
        raise ReplayTableError(f"row {line.number} has neither a figure nor a failure; give one of them")
    derived = with_economics(Measurement(metrics, sources), configuration.gpu, tokens, pricing)
    return configuration, Measurement({**derived.metrics, **metrics}, {**derived.provenance, **sources})
