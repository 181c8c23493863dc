"""The figures that predictions and measurements are compared in, and what becomes of one row of a table."""

from dataclasses import dataclass, fields

from tuner.trial import Failure


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one row: ms, output tokens per second and GPU, watts a GPU, joules an output token; `None`: unknown.

    `ttft_ms` and `tpot_ms` are what the table's own columns hold (medians or means, as they were measured).
    """

    ttft_ms: float | None = None
    ttft_p99_ms: float | None = None
    tpot_ms: float | None = None
    output_tokens_per_second_per_gpu: float | None = None
    power_watts_per_gpu: float | None = None
    energy_joules_per_output_token: float | None = None

    def get(self, metric: str) -> float | None:
        """One of the figures by name."""
        value: float | None = getattr(self, metric)
        return value


METRICS = tuple(field.name for field in fields(Figures))
PREDICTED_COLUMNS = tuple(f"predicted_{metric}" for metric in METRICS)
FAILURE_COLUMN = "failure"


@dataclass(frozen=True, slots=True)
class Groups:
    """What a row is grouped by in the error tables."""

    gpu: str
    precision: str
    model: str
    lengths: str


@dataclass(frozen=True, slots=True)
class RowResult:
    """One row: what was measured, and what is said of it, or why nothing is.

    `simulated`: the scheduling simulation (or the roofline of a power table), `calibrated`: the same corrected by the
    shipped measurements, `formula`: the closed formula. `None` where a row's kind has no such prediction.
    """

    groups: Groups
    measured: Figures = Figures()
    simulated: Figures | None = None
    calibrated: Figures | None = None
    formula: Figures | None = None
    failure: Failure | None = None
    problem: str | None = None
