"""Replay tables: measured rows that stand for measurements (CSV in the form of the public contract)."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, get_args, get_type_hints

from tuner.configuration import KNOBS, Configuration, KnobValue
from tuner.economics.cost import Tokens, with_economics
from tuner.errors import SpecError, SpecProblem
from tuner.metrics import METRICS, Provenance
from tuner.space.hardware import find_gpu
from tuner.space.lengths import lengths_of
from tuner.spec import JobSpec, Pricing
from tuner.spec_problems import near
from tuner.trial import Failure, FailureKind, Measurement

_FAILURE: Final = "failure"
_COMMON: Final = ("number", "state", "detail")
"""Columns of our own trials table that say nothing here."""
_BOOLEANS: Final = {"true": True, "false": False}


class ReplayTableError(SpecError):
    """A replay table cannot be read; the message names the row and the column, and what would be right."""

    def __init__(self, message: str | Sequence[SpecProblem]) -> None:
        super().__init__([SpecProblem("replay.table", message)] if isinstance(message, str) else message)


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
    gpu = find_gpu(spec.hardware.gpu[0]).name
    lengths = lengths_of(spec.workload)
    defaults = Configuration(engine=spec.engine[0].value, gpu=gpu)
    return read_table(Path(spec.replay.table), defaults, Tokens(lengths.input_mean, lengths.output_mean), spec.pricing)


def read_table(path: Path, defaults: Configuration, tokens: Tokens, pricing: Pricing) -> ReplayTable:
    """The table of a CSV file; `defaults` fills the knobs that have no column.

    Cost, energy and carbon follow from throughput and power at these prices, where the table has those; figures that
    the table measured itself are kept. Raises `ReplayTableError`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header = _header(reader.fieldnames, path)
            rows = tuple(_row(cells, line, header, defaults, tokens, pricing) for line, cells in enumerate(reader, 2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReplayTableError(f"cannot read {path}: {error}; give a CSV file in UTF-8") from None
    if not rows:
        raise ReplayTableError(f"{path} has no rows; give at least one measured configuration")
    return ReplayTable(rows)


def _header(names: Sequence[str] | None, path: Path) -> tuple[str, ...]:
    if not names:
        raise ReplayTableError(f"{path} is empty; its first line names the columns")
    known = {*KNOBS, *METRICS, _FAILURE, *_COMMON}
    for name in names:
        if name not in known:
            raise ReplayTableError(f"{path}: column {name!r} is neither a knob nor a metric; {near(name, known)}")
        if names.count(name) > 1:
            raise ReplayTableError(f"{path}: column {name!r} stands there twice; keep one")
    if not any(name in METRICS for name in names):
        raise ReplayTableError(f"{path} has no metric column; give at least one, like tpot_mean_ms")
    return tuple(names)


def _row(
    cells: Mapping[str, str | None],
    line: int,
    header: Sequence[str],
    defaults: Configuration,
    tokens: Tokens,
    pricing: Pricing,
) -> tuple[Configuration, Measurement]:
    if None in cells or any(cells[name] is None for name in header):
        raise ReplayTableError(f"row {line} does not have {len(header)} cells as the header has; mend its commas")
    texts = {name: (cells[name] or "").strip() for name in header}
    knobs = {name: _knob(texts[name], line, name) for name in header if name in KNOBS and texts[name]}
    configuration = Configuration.from_dict({**defaults.to_dict(), **knobs})
    failure = _failure(texts.get(_FAILURE, ""), line)
    if failure is not None:
        return configuration, Measurement(failure=failure)
    metrics = {name: _figure(texts[name], line, name) for name in header if name in METRICS and texts[name]}
    if not metrics:
        raise ReplayTableError(f"row {line} has neither a figure nor a failure; give one of them")
    measured = Measurement(metrics, dict.fromkeys(metrics, Provenance.MEASURED))
    derived = with_economics(measured, configuration.gpu, tokens, pricing)
    return configuration, Measurement({**derived.metrics, **metrics}, {**derived.provenance, **measured.provenance})


def _failure(text: str, line: int) -> Failure | None:
    if not text:
        return None
    known = [kind.value for kind in FailureKind]
    if text not in known:
        raise ReplayTableError(f"row {line}, column failure: {text!r} is no failure kind; {near(text, known)}")
    return Failure(FailureKind(text), "as the replay table says")


def _knob(text: str, line: int, name: str) -> KnobValue:
    wanted = _KNOB_TYPES[name]
    if wanted is str:
        return text
    if wanted is bool:
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        raise ReplayTableError(f"row {line}, column {name}: {text!r} is no switch; write true or false")
    if text.isascii() and text.isdigit() and int(text) >= 1:
        return int(text)
    raise ReplayTableError(f"row {line}, column {name}: {text!r} is no count; write a whole number from 1, no point")


def _figure(text: str, line: int, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ReplayTableError(
            f"row {line}, column {name}: {text!r} is no figure above 0; leave the cell empty where it is not known"
        )
    return value


def _knob_types() -> dict[str, type]:
    hints = get_type_hints(Configuration)
    found = {}
    for field in fields(Configuration):
        kinds = [kind for kind in get_args(hints[field.name]) or (hints[field.name],) if kind is not type(None)]
        found[field.name] = kinds[0]
    return found


_KNOB_TYPES: Final = _knob_types()
