"""Predicts a metric over the whole space from what was measured and what was simulated.

One expert a simulation models log(measured / simulated), one more models log(measured) alone. Each counts by how well
it foresaw the measurements (Bayesian model averaging), so a simulator that misleads is left behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.search.staged.beliefs import plain_beliefs, residual_beliefs
from tuner.search.staged.encoding import Encoded
from tuner.search.staged.gaussian_process import Beliefs, Fitted, condition, fit, outlying
from tuner.search.staged.landscape import Lesson

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

FITTED_FROM: Final = 6
"""Measurements from which on the kernel's parameters are fitted; before, they are those believed."""
TRUST: Final = 0.9
"""Belief, before data, that a simulator is as right as it was elsewhere."""
OUTLIERS: Final = 0.02
"""Share of measurements that are believed to contradict all others."""
LESSON_ERROR: Final = 0.03
"""Standard deviation (log) by which an earlier job's correction may be off beside what its workload explains."""
_NEGLIGIBLE: Final = 1e-3
_NOTHING: Final = (np.empty(0, dtype=np.int64), np.empty(0), np.empty((0, 0)))


@dataclass(frozen=True, slots=True)
class Expert:
    """A process around a mean known for every row of the space; `weight` is its share of the belief (0 to 1).

    `values` (log, less the mean) were measured; `extra_variance` is that of outliers among them.
    """

    mean: Floats
    process: Fitted
    weight: float
    values: Floats
    extra_variance: Floats

    def predict(self, encoded: Encoded, rows: Indices) -> tuple[Floats, Floats]:
        """Mean and variance of the metric's log as a measurement of each row would show it."""
        mean, deviation = self.process.predict(encoded.features[rows])
        return mean + self.mean[rows], deviation**2 + self.process.kernel.noise**2

    def believing(self, encoded: Encoded, rows: Indices, log_values: Floats) -> "Expert":
        """The expert as if these figures (log) had been measured too; its kernel and weight stay."""
        features = np.concatenate([self.process.features, encoded.features[rows]])
        values = np.concatenate([self.values, log_values - self.mean[rows]])
        extra = np.concatenate([self.extra_variance, np.zeros(len(rows))])
        process = condition(self.process.kernel, features, encoded.groups, values, extra)
        return Expert(self.mean, process, self.weight, values, extra)


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A metric's log over the space, given what was measured; the last expert is the one without a simulator."""

    encoded: Encoded
    experts: tuple[Expert, ...]

    @property
    def trust(self) -> float:
        """Weight of the simulators in the predictions (0 to 1)."""
        return float(sum(expert.weight for expert in self.experts[:-1]))

    def doubting(self, share: float) -> "Surrogate":
        """The surrogate with that share of the simulators' weight (0 to 1) given to the expert without one."""
        *simulating, plain = self.experts
        kept = tuple(replace(expert, weight=expert.weight * (1 - share)) for expert in simulating)
        return Surrogate(self.encoded, (*kept, replace(plain, weight=plain.weight + self.trust * share)))

    def believing(self, rows: Indices) -> "Surrogate":
        """The surrogate as if pending rows had come out as it predicts: narrower there, and no wiser."""
        mean, _ = self.predict(rows)
        return Surrogate(self.encoded, tuple(expert.believing(self.encoded, rows, mean) for expert in self.experts))

    def predict(self, rows: Indices) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the metric's natural log at rows of the space."""
        heard = [expert for expert in self.experts if expert.weight >= _NEGLIGIBLE]
        total = sum(expert.weight for expert in heard)
        said = [(expert.weight / total, *expert.predict(self.encoded, rows)) for expert in heard]
        mean = sum((weight * middle for weight, middle, _ in said), start=np.zeros(len(rows)))
        variance = sum(
            (weight * (spread + (middle - mean) ** 2) for weight, middle, spread in said), start=np.zeros(len(rows))
        )
        return mean, np.sqrt(variance)


def learn(
    metric: str,
    encoded: Encoded,
    log_priors: Sequence[Floats],
    rows: Sequence[int],
    log_values: Floats,
    lessons: Sequence[Lesson] = (),
) -> Surrogate:
    """The surrogate given logs measured at rows of the space.

    `log_priors`: what each simulation says of every row; none where nothing was simulated. `lessons`: what earlier
    jobs measured of the same engine.
    """
    at = np.asarray(rows, dtype=np.int64)
    means = [*log_priors, np.full(len(encoded), _centre(log_priors, log_values))]
    beliefs = [*(residual_beliefs(metric, encoded) for _ in log_priors), plain_beliefs(encoded)]
    taught = [_taught(lessons, metric, number) for number in range(len(log_priors))] + [_NOTHING]
    found = [
        _expert(belief, encoded, mean, at, log_values, told)
        for belief, mean, told in zip(beliefs, means, taught, strict=True)
    ]
    shares = [*(TRUST / len(log_priors) for _ in log_priors), 1 - TRUST if log_priors else 1.0]
    weights = _weights(np.log(shares) + np.array([evidence for _, evidence in found]))
    return Surrogate(
        encoded,
        tuple(replace(expert, weight=float(weight)) for (expert, _), weight in zip(found, weights, strict=True)),
    )


def _centre(log_priors: Sequence[Floats], known: Floats) -> float:
    if len(log_priors):
        return float(np.median(log_priors[0]))
    return float(np.mean(known)) if len(known) else 0.0


def _expert(
    beliefs: Beliefs,
    encoded: Encoded,
    mean: Floats,
    at: Indices,
    log_values: Floats,
    taught: tuple[Indices, Floats, Floats],
) -> tuple[Expert, float]:
    """The expert given all values, and the log evidence of those of this job; its weight is still open."""
    groups, kernel = encoded.groups, beliefs.kernel
    rows = np.concatenate([taught[0], at])
    values = np.concatenate([taught[1], log_values - mean[at]])
    features, first = encoded.features[rows], len(taught[0])
    if first:
        features[:first] += taught[2]
    extra = np.zeros(len(rows))
    extra[:first] = LESSON_ERROR**2
    extra[first:] = outlying(kernel, features[first:], groups, values[first:])
    if len(rows) >= FITTED_FROM:
        kernel = fit(beliefs, features, groups, values, extra)
    process = condition(kernel, features, groups, values, extra)
    evidence = process.log_evidence if len(rows) else 0.0
    if first:
        evidence -= condition(kernel, features[:first], groups, values[:first], extra[:first]).log_evidence
    evidence += np.count_nonzero(extra[first:]) * np.log(OUTLIERS)
    return Expert(mean, process, 0.0, values, extra), float(evidence)


def _taught(lessons: Sequence[Lesson], metric: str, opinion: int) -> tuple[Indices, Floats, Floats]:
    """Rows, log ratios and shifts of the lessons on a metric."""
    known = [lesson for lesson in lessons if metric in lesson.log_ratios]
    if not known:
        return _NOTHING
    rows = np.array([lesson.row for lesson in known], dtype=np.int64)
    return rows, np.array([k.log_ratios[metric][opinion] for k in known]), np.stack([k.shift for k in known])


def _weights(log_odds: Floats) -> Floats:
    odds = np.exp(log_odds - log_odds.max())
    return np.asarray(odds / odds.sum(), dtype=np.float64)
