"""How much a few measurements mend the predictions of what was not measured, on real tables."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from benchmarks.search_study.tables import Case
from tuner.search.staged.surrogate import learn

MEASURED: Final = (6, 10)
_METRICS: Final = ("tpot_mean_ms", "ttft_mean_ms")
_DRAWS: Final = 10


def calibration_errors(cases: Sequence[Case]) -> Iterator[str]:
    """One line a metric: median and mean absolute error over the rest, raw and after 6 and 10 random measurements.

    Raw is the scheduling simulation without the shipped correction; the rest is the same rows for all three.
    """
    for metric in _METRICS if cases else ():
        errors: dict[int, list[float]] = {0: [], **{count: [] for count in MEASURED}}
        means: dict[int, list[float]] = {0: [], **{count: [] for count in MEASURED}}
        for case in cases:
            landscape = case.landscape()
            truth = np.log([measurement.metrics[metric] for measurement in case.truth])
            opinions = landscape.log_priors[metric]
            for draw in range(_DRAWS):
                order = np.random.default_rng(draw).permutation(len(truth))
                rest = order[max(MEASURED) :]
                for count, medians in errors.items():
                    known = order[:count]
                    predicted = opinions[0][rest]
                    if count:
                        learnt = learn(metric, landscape.encoded, opinions, known.tolist(), truth[known])
                        predicted, _ = learnt.predict(rest)
                    error = np.abs(np.expm1(predicted - truth[rest]))
                    medians.append(float(np.median(error)))
                    means[count].append(float(error.mean()))
        told = ", ".join(
            f"{'raw' if count == 0 else f'after {count}'} {100 * np.mean(errors[count]):.1f} % (mean "
            f"{100 * np.mean(means[count]):.1f} %)"
            for count in errors
        )
        yield f"calibration, {metric}, median error of the rest over {len(cases)} silicon tables: {told}"
