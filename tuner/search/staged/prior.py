"""What the simulator says of every row of a space, before any is measured."""

from collections.abc import Callable, Sequence
from typing import Final

from tuner.configuration import Configuration
from tuner.evaluators.pool import EvaluationPool
from tuner.metrics import Objective
from tuner.search.staged.history import Goal
from tuner.search.staged.landscape import Floats, Landscape
from tuner.search.staged.survey import Opinion, survey
from tuner.search.waiting import result_of
from tuner.spec import JobSpec

SIMULATED_UP_TO: Final = 3_000
"""Rows up to which the prior is the scheduling simulation; beyond, the closed formula."""
SHOWN_METRICS: Final = (
    "ttft_mean_ms",
    *(objective.metric for objective in Objective),
    "output_tokens_per_second_per_gpu",
    "power_watts_per_gpu",
)
"""Metrics whose calibrated figures a user wants to see, beside those that decide."""
_ROWS_AT_A_TIME: Final = 64


def simulated_landscape(
    spec: JobSpec,
    rows: Sequence[Configuration],
    goal: Goal,
    prices: tuple[Floats, Floats],
    pool: EvaluationPool,
    cancelled: Callable[[], bool],
) -> Landscape:
    """The landscape with the simulator's opinions; `prices`: see `row_prices`; raises `CancelledStudyError` when the study is cancelled."""
    deep = len(rows) <= SIMULATED_UP_TO
    parts = [rows[start : start + _ROWS_AT_A_TIME] for start in range(0, len(rows), _ROWS_AT_A_TIME)]
    futures = [pool.opinions(spec, part, deep=deep) for part in parts]
    prior = [row for future in futures for row in result_of(future, cancelled)]
    opinions = [Opinion([row.opinions[number] for row in prior]) for number in range(len(prior[0].opinions))]
    return survey(
        rows,
        tuple(dict.fromkeys((*goal.metrics, *SHOWN_METRICS))),
        opinions,
        [row.memory_share for row in prior],
        [row.runs for row in prior],
        prices,
    )


def blind_landscape(rows: Sequence[Configuration], goal: Goal, prices: tuple[Floats, Floats]) -> Landscape:
    """The landscape of a space that nothing simulates."""
    return survey(rows, goal.metrics, prices=prices)
