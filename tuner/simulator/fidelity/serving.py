"""Latency, throughput, power and energy of a serving point, by the procedure it was measured with."""

from tuner.simulator.fidelity.cells import Row
from tuner.simulator.fidelity.figures import Figures, Groups, RowResult
from tuner.simulator.fidelity.procedure import (
    LOWEST_SHARE,
    Prediction,
    columns,
    play,
    report,
    subject,
)
from tuner.simulator.fidelity.serving_engine import ServingEngine, serving_engine
from tuner.simulator.fidelity.serving_table import MeasuredPoint, parse_point
from tuner.simulator.kernel_data import KernelData, UnsupportedError
from tuner.simulator.latency.calibration import Calibration
from tuner.simulator.power.engine import EnginePower, Running
from tuner.trial import Failure, FailureKind

MEAN_SHARE = (1.0 + LOWEST_SHARE) / 2
"""Mean length of the procedure's prompts and outputs, as a share of the nominal one."""


def predict_row(row: Row, kernels: KernelData, calibration: Calibration) -> RowResult:
    """One row of the table; raises `BrokenCellError` naming the column that cannot be read."""
    point = parse_point(row)
    groups = Groups(point.system, point.precision or "bf16", point.model, f"{point.input_tokens}/{point.output_tokens}")
    failure = _out_of_scope(point)
    if failure is not None:
        return RowResult(groups, point.figures, failure=failure)
    try:
        found = serving_engine(point, kernels)
    except UnsupportedError as error:
        return RowResult(groups, point.figures, failure=error.failure)
    if found.engine.kv_tokens is not None and found.engine.kv_tokens < point.input_tokens + point.output_tokens:
        detail = f"the KV cache of a rank holds {found.engine.kv_tokens} tokens, less than one request"
        return RowResult(groups, point.figures, failure=Failure(FailureKind.OUT_OF_MEMORY, detail))
    return _played(point, groups, found, calibration)


def _out_of_scope(point: MeasuredPoint) -> Failure | None:
    if point.mode == "agg":
        return None
    detail = f"mode {point.mode}: only aggregated serving is simulated so far, not prefill and decode on GPUs apart"
    return Failure(FailureKind.UNSUPPORTED, detail)


def _played(point: MeasuredPoint, groups: Groups, found: ServingEngine, calibration: Calibration) -> RowResult:
    engine = found.engine
    host = calibration.host(point.engine).overhead(engine.family, point.system, engine.layers)
    simulated = report(point, play(point, engine.steps, engine.kv_tokens, host))
    factors = calibration.correction.factors(subject(point, engine.family))
    calibrated = simulated.corrected(factors.ttft, factors.tpot, point.output_tokens)
    power = EnginePower(found.model)
    formula = None if found.formula is None else Figures(found.formula[0], None, found.formula[1], found.formula[2])
    return RowResult(
        groups,
        point.figures,
        simulated=_figures(point, found, simulated, power),
        calibrated=_figures(point, found, calibrated, power),
        formula=formula,
    )


def _figures(point: MeasuredPoint, found: ServingEngine, prediction: Prediction, power: EnginePower) -> Figures:
    told = columns(point, prediction)
    rate = prediction.output_tokens_per_second_per_gpu
    running = Running(
        rate * point.gpus,
        prediction.tpot_ms,
        point.input_tokens * MEAN_SHARE,
        point.output_tokens * MEAN_SHARE,
    )
    watts = power.watts(found.configuration, running)
    return Figures(
        ttft_ms=told["predicted_ttft_ms"],
        ttft_p99_ms=told["predicted_ttft_p99_ms"],
        tpot_ms=told["predicted_tpot_ms"],
        output_tokens_per_second_per_gpu=rate,
        power_watts_per_gpu=watts,
        energy_joules_per_output_token=None if watts is None or rate <= 0 else watts / rate,
    )
