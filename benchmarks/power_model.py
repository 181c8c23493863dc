"""Fits the power model and the roofline of the engine on ML.ENERGY's H100 points, and draws predicted against measured.

    uv run python benchmarks/power_model.py [TABLE.csv] [--plot FILE.svg]

Prints errors in sample and with each model left out of both fits. Takes about half a minute on one core. The constants
in `tuner/space/power.yaml` are what it printed last.
"""

import argparse
import csv
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from tuner.simulator.fidelity.energy import EnergyPrediction, predict_energy
from tuner.simulator.fidelity.energy_table import EnergyPoint, parse_energy_point
from tuner.simulator.fidelity.plot import Panel, scatter_plot
from tuner.simulator.power.draw import PowerCoefficients
from tuner.simulator.power.step_time import EngineEfficiency, step_time
from tuner.simulator.power.table import PowerTable, read_power_table
from tuner.simulator.power.work import step_work

Array = NDArray[np.float64]

DEFAULT_TABLE = Path(__file__).parents[2] / "shared" / "data" / "mlenergy_v3_h100_chat.csv"
REFERENCE_GPU = "h100_sxm"

ENGINE_START = EngineEfficiency(1000, 30, 20, 0.8, 0.6, 60, 100, 0.6, 0.3, 10, 0.5, 50, 0.7)
ENGINE_LOW = EngineEfficiency(0, 0, 0, 0.5, 0.2, 0, 0, 0.1, 0.05, 0, 0.1, 0, 0.3)
ENGINE_HIGH = EngineEfficiency(8000, 200, 100, 0.95, 0.8, 400, 500, 0.95, 0.8, 60, 0.9, 300, 1.0)
ENGINE_PULL = 0.15
"""Weight, in log units, of the pull of each efficiency towards its start."""

POWER_START = PowerCoefficients(active=150, memory=200, arithmetic=600, state=300, block_scaling=120, spinning=36)
POWER_PULL = PowerCoefficients(active=0.3, memory=1.5, arithmetic=0.3, state=0.5, block_scaling=0.3, spinning=0.0)
"""Pull of each coefficient towards its start; memory is held near 60 pJ a byte, spinning is not fitted."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: the point, its model, step seconds (batch / throughput) and watts a GPU."""

    point: EnergyPoint
    model: str
    seconds: float
    watts: float

    @property
    def joules(self) -> float:
        """Joules an output token."""
        return self.watts * self.point.layout.gpus * self.seconds / self.point.load.decode_sequences


def read_rows(path: Path, table: PowerTable) -> list[Measured]:
    """The rows of a table that say their throughput and power; those of other GPUs than the reference are left out."""
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            point = parse_energy_point(row, table)
            seconds, watts = point.step_seconds, point.measured.power_watts_per_gpu
            if point.gpu == REFERENCE_GPU and seconds is not None and watts is not None:
                rows.append(Measured(point, point.model, seconds, watts))
    return rows


def fit_engine(rows: Sequence[Measured], table: PowerTable) -> EngineEfficiency:
    """Efficiencies of the engine: soft-L1 on log step seconds."""
    start, low, high = (np.array(astuple(e), dtype=float) for e in (ENGINE_START, ENGINE_LOW, ENGINE_HIGH))
    works = [step_work(row.point.shape, row.point.load, row.point.layout) for row in rows]
    measured = np.log([row.seconds for row in rows])

    def residuals(values: Array) -> Array:
        engine = EngineEfficiency(*(float(v) for v in values))
        seconds = [
            step_time(w, r.point.shape, r.point.load, r.point.layout, table.gpu(r.point.gpu).peaks, engine).seconds
            for w, r in zip(works, rows, strict=True)
        ]
        pull = ENGINE_PULL * np.log((values + 0.02 * start) / (1.02 * start))
        return np.concatenate([np.log(seconds) - measured, pull])

    found = least_squares(residuals, start, bounds=(low, high), loss="soft_l1", f_scale=0.1, x_scale=start)
    return EngineEfficiency(*(float(v) for v in found.x))


def fit_power(rows: Sequence[Measured], table: PowerTable) -> PowerCoefficients:
    """Coefficients of the reference GPU: soft-L1 on log watts, at measured and at predicted rates alike."""
    names = [f.name for f in fields(PowerCoefficients) if getattr(POWER_PULL, f.name) > 0]
    start = np.array([getattr(POWER_START, name) for name in names])
    pull = np.array([getattr(POWER_PULL, name) for name in names])
    measured = np.log([row.watts for row in rows])

    def residuals(values: Array) -> Array:
        coefficients = replace(POWER_START, **{n: float(v) for n, v in zip(names, values, strict=True)})
        tried = with_coefficients(table, coefficients)
        at_measured = np.log([predict_energy(r.point, tried, r.seconds).power_watts_per_gpu for r in rows])
        at_predicted = np.log([predict_energy(r.point, tried).power_watts_per_gpu for r in rows])
        held = pull * np.log((values + 1.0) / (start + 1.0))
        return np.concatenate([at_measured - measured, at_predicted - measured, held])

    found = least_squares(residuals, start, bounds=(0, 4000), loss="soft_l1", f_scale=0.1, x_scale=start)
    return replace(POWER_START, **{n: float(v) for n, v in zip(names, found.x, strict=True)})


def with_coefficients(table: PowerTable, coefficients: PowerCoefficients) -> PowerTable:
    """The table with the reference GPU's coefficients replaced."""
    gpu = replace(table.gpu(REFERENCE_GPU), coefficients=coefficients)
    return replace(table, gpus={**table.gpus, REFERENCE_GPU: gpu})


def fit(rows: Sequence[Measured], table: PowerTable) -> PowerTable:
    """Engine and power fitted on `rows`."""
    fitted = replace(table, engine=fit_engine(rows, table))
    return with_coefficients(fitted, fit_power(rows, fitted))


@dataclass(frozen=True, slots=True)
class Predicted:
    """A row's prediction at its predicted rate and at its measured rate."""

    row: Measured
    free: EnergyPrediction
    at_measured_rate: EnergyPrediction


def predictions(rows: Sequence[Measured], table: PowerTable) -> list[Predicted]:
    """Predictions of `rows` with `table`."""
    return [
        Predicted(row, predict_energy(row.point, table), predict_energy(row.point, table, row.seconds)) for row in rows
    ]


def leave_one_model_out(rows: Sequence[Measured], table: PowerTable) -> list[Predicted]:
    """Each model's rows predicted by a fit on all other models."""
    found: list[Predicted] = []
    for model in dict.fromkeys(row.model for row in rows):
        fitted = fit([row for row in rows if row.model != model], table)
        found.extend(predictions([row for row in rows if row.model == model], fitted))
    return found


ERRORS: dict[str, Callable[[Predicted], float]] = {
    "throughput": lambda p: p.free.output_tokens_per_second * p.row.seconds / p.row.point.load.decode_sequences - 1.0,
    "W (predicted rate)": lambda p: p.free.power_watts_per_gpu / p.row.watts - 1.0,
    "W (measured rate)": lambda p: p.at_measured_rate.power_watts_per_gpu / p.row.watts - 1.0,
    "J/token (predicted rate)": lambda p: p.free.energy_joules_per_output_token / p.row.joules - 1.0,
    "J/token (measured rate)": lambda p: p.at_measured_rate.energy_joules_per_output_token / p.row.joules - 1.0,
}


def report(title: str, predicted: Sequence[Predicted], *, by_model: bool) -> str:
    """Mean absolute errors (and bias) of all figures, over all rows and by model."""
    lines = [f"{title} ({len(predicted)} points): mean absolute error (bias)"]
    for name, error in ERRORS.items():
        errors = np.array([error(p) for p in predicted])
        lines.append(f"  {name:26s} {100 * np.abs(errors).mean():5.1f} %  ({100 * errors.mean():+.1f} %)")
    if by_model:
        lines.append(f"  {'':52s} n " + "".join(f"{name:>26s}" for name in ERRORS))
        for model in dict.fromkeys(p.row.model for p in predicted):
            group = [p for p in predicted if p.row.model == model]
            means = "".join(f"{100 * np.mean([abs(e(p)) for p in group]):24.1f} %" for e in ERRORS.values())
            lines.append(f"  {model:50s} {len(group):3d} {means}")
    return "\n".join(lines)


def draw(predicted: Sequence[Predicted], path: Path) -> None:
    """Predicted against measured watts and joules, left out by model, as an SVG; the band is the goal."""
    watts: dict[str, list[tuple[float, float]]] = {}
    joules: dict[str, list[tuple[float, float]]] = {}
    for p in predicted:
        name = p.row.model.split("/")[-1]
        watts.setdefault(name, []).append((p.row.watts, p.free.power_watts_per_gpu))
        joules.setdefault(name, []).append((p.row.joules, p.free.energy_joules_per_output_token))
    panels = [Panel("W per GPU", watts, 0.12), Panel("J per output token", joules, 0.20)]
    path.write_text(scatter_plot(panels, "ML.ENERGY v3, H100, chat; each model left out of its fit"), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path, nargs="?", default=DEFAULT_TABLE)
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    options = parser.parse_args(arguments)
    table = read_power_table()
    rows = read_rows(options.table, table)
    fitted = fit(rows, table)
    print("engine:", {f.name: round(getattr(fitted.engine, f.name), 4) for f in fields(EngineEfficiency)})
    reference = fitted.gpu(REFERENCE_GPU).coefficients
    print("reference:", {f.name: round(getattr(reference, f.name), 1) for f in fields(PowerCoefficients)})
    print(report("shipped constants, in sample", predictions(rows, table), by_model=False))
    left_out = leave_one_model_out(rows, table)
    print(report("each model left out of the fit", left_out, by_model=True))
    if options.plot:
        draw(left_out, options.plot)
        print(f"plot: {options.plot}")


if __name__ == "__main__":
    main()
