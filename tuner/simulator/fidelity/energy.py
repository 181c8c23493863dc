"""Throughput, power and energy of a row of ML.ENERGY's table, by the roofline of its engine and the power model."""

from dataclasses import dataclass

from tuner.simulator.fidelity.cells import Row
from tuner.simulator.fidelity.energy_table import EnergyPoint, parse_energy_point
from tuner.simulator.fidelity.figures import Figures, Groups, RowResult
from tuner.simulator.power.draw import PowerInputs, TimedStep, inputs_from_steps, predict_power_watts_per_gpu
from tuner.simulator.power.step_time import steady_throughput
from tuner.simulator.power.table import PowerTable, read_power_table


@dataclass(frozen=True, slots=True)
class EnergyPrediction:
    """Output tokens/s of the engine, watts a GPU, joules an output token, and the inputs of the power model."""

    output_tokens_per_second: float
    power_watts_per_gpu: float
    energy_joules_per_output_token: float
    inputs: PowerInputs


def predict_energy(point: EnergyPoint, table: PowerTable, seconds: float | None = None) -> EnergyPrediction:
    """Throughput, power and energy of a point; with `seconds` (a known step length), power at that rate."""
    gpu = table.gpu(point.gpu)
    rate, time, work = steady_throughput(point.shape, point.load, point.layout, gpu.peaks, table.engine)
    if seconds is not None:
        rate = point.load.decode_sequences / seconds
    length = time.seconds if seconds is None else seconds
    inputs = inputs_from_steps([TimedStep(work, length, time)], point.layout)
    watts = predict_power_watts_per_gpu(gpu, inputs)
    return EnergyPrediction(rate, watts, watts * point.layout.gpus / rate, inputs)


def predict_row(row: Row) -> RowResult:
    """One row of the table; raises `BrokenCellError` naming the column that cannot be read."""
    table = read_power_table()
    point = parse_energy_point(row, table)
    found = predict_energy(point, table)
    simulated = Figures(
        tpot_ms=1000.0 * point.load.decode_sequences / found.output_tokens_per_second,
        output_tokens_per_second_per_gpu=found.output_tokens_per_second / point.layout.gpus,
        power_watts_per_gpu=found.power_watts_per_gpu,
        energy_joules_per_output_token=found.energy_joules_per_output_token,
    )
    groups = Groups(point.gpu, point.precision, point.model, point.task or "no task")
    return RowResult(groups, point.measured, simulated=simulated)
