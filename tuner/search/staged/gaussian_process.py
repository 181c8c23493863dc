"""Gaussian-process regression for a few dozen points and many thousand candidates.

The kernel is a constant, an optional linear part and a Matérn-5/2 with one length a knob; its parameters are those of
greatest posterior density (Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, chapters 2, 4 and 5).
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Floats = NDArray[np.float64]

OUTLYING_FROM: Final = 4.0
"""Leave-one-out error, in standard deviations, from which on a point counts as an outlier."""
_MOST_OUTLYING: Final = 0.25
_JITTER: Final = 1e-9
_ROOT5: Final = 5**0.5
_CHUNK: Final = 16_384


@dataclass(frozen=True, slots=True)
class Kernel:
    """Standard deviations of the parts and the Matérn part's lengths (one a knob, in the features' unit).

    `linear` is the standard deviation of the slope along each feature.
    """

    amplitude: float
    offset: float
    linear: float
    noise: float
    lengths: Floats


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed of a kernel before data: its middle, and how far (in log) its parameters may be off."""

    kernel: Kernel
    amplitude_spread: float
    noise_spread: float
    length_spread: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """A process conditioned on n points; `log_evidence` is the log density of the points under it."""

    kernel: Kernel
    features: Floats
    column_lengths: Floats
    factor: Floats
    weights: Floats
    log_evidence: float

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation (without noise) at m features (m × d)."""
        mean, variance = np.empty(len(features)), np.empty(len(features))
        for start in range(0, len(features), _CHUNK):
            part = slice(start, start + _CHUNK)
            across = covariance_between(self.kernel, self.column_lengths, features[part], self.features)
            mean[part] = across @ self.weights
            reduction = solve_triangular(self.factor, across.T, lower=True, check_finite=False, overwrite_b=True)
            own = self.kernel.amplitude**2 + self.kernel.offset**2
            own = own + self.kernel.linear**2 * np.einsum("ij,ij->i", features[part], features[part])
            variance[part] = own - np.einsum("ij,ij->j", reduction, reduction)
        return mean, np.sqrt(np.maximum(variance, 1e-10))


def condition(
    kernel: Kernel, features: Floats, groups: NDArray[np.int64], values: Floats, extra_variance: Floats | float = 0.0
) -> Fitted:
    """The process given values (n, mean zero before data) at features (n × d); `extra_variance` is each point's own."""
    column_lengths = kernel.lengths[groups] if len(groups) else np.ones(0)
    covariance = covariance_between(kernel, column_lengths, features, features)
    covariance[np.diag_indices_from(covariance)] += kernel.noise**2 + extra_variance + _JITTER
    factor = cholesky(covariance, lower=True, check_finite=False)
    weights = cho_solve((factor, True), values, check_finite=False)
    evidence = -0.5 * values @ weights - np.log(np.diag(factor)).sum() - 0.5 * len(values) * np.log(2 * np.pi)
    return Fitted(kernel, features, column_lengths, factor, weights, float(evidence))


def outlying(kernel: Kernel, features: Floats, groups: NDArray[np.int64], values: Floats) -> Floats:
    """Variance (n) to add to points that the others contradict, so that they do not mislead; 0 for most.

    The worst is taken first, by its leave-one-out error (Rasmussen & Williams 2006, eq. 5.12), then the rest anew.
    """
    extra = np.zeros(len(values))
    for _ in range(int(len(values) * _MOST_OUTLYING)):
        fitted = condition(kernel, features, groups, values, extra)
        inverse = cho_solve((fitted.factor, True), np.eye(len(values)), check_finite=False)
        error = fitted.weights / np.diag(inverse)
        score = np.abs(error) * np.sqrt(np.diag(inverse))
        worst = int(np.argmax(score))
        if score[worst] < OUTLYING_FROM:
            break
        extra[worst] += error[worst] ** 2
    return extra


def fit(
    beliefs: Beliefs, features: Floats, groups: NDArray[np.int64], values: Floats, extra_variance: Floats | float = 0.0
) -> Kernel:
    """The kernel of greatest posterior density given values (n) at features (n × d)."""
    problem = _Problem(beliefs, features, groups, values, extra_variance)
    start = np.zeros(2 + len(beliefs.kernel.lengths))
    found = minimize(
        problem, start, jac=True, method="L-BFGS-B", bounds=[(-3.0, 3.0)] * len(start), options={"maxiter": 40}
    )
    return problem.kernel(found.x)


class _Problem:
    """Negative log posterior density and its gradient over standardised log parameters (amplitude, noise, lengths)."""

    def __init__(
        self,
        beliefs: Beliefs,
        features: Floats,
        groups: NDArray[np.int64],
        values: Floats,
        extra_variance: Floats | float,
    ) -> None:
        middle = beliefs.kernel
        self._beliefs, self._values, self._extra = beliefs, values, extra_variance
        self._spread = np.concatenate(
            [[beliefs.amplitude_spread, beliefs.noise_spread], np.full(len(middle.lengths), beliefs.length_spread)]
        )
        self._base = middle.offset**2 + middle.linear**2 * (features @ features.T)
        self._squares = (
            np.stack(
                [
                    _squared(features[:, groups == group], features[:, groups == group])
                    for group in range(len(middle.lengths))
                ]
            )
            if len(middle.lengths)
            else np.zeros((0, len(values), len(values)))
        )

    def kernel(self, point: Floats) -> Kernel:
        factors = np.exp(point * self._spread)
        middle = self._beliefs.kernel
        return replace(
            middle,
            amplitude=middle.amplitude * factors[0],
            noise=middle.noise * factors[1],
            lengths=middle.lengths * factors[2:],
        )

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        kernel = self.kernel(point)
        scaled = self._squares / kernel.lengths[:, None, None] ** 2
        root = _ROOT5 * np.sqrt(scaled.sum(axis=0))
        decay = np.exp(-root)
        matern = kernel.amplitude**2 * (1 + root + root**2 / 3) * decay
        covariance = self._base + matern
        covariance[np.diag_indices_from(covariance)] += kernel.noise**2 + self._extra + _JITTER
        factor = cholesky(covariance, lower=True, check_finite=False)
        weights = cho_solve((factor, True), self._values, check_finite=False)
        inverse = cho_solve((factor, True), np.eye(len(weights)), check_finite=False)
        slope = 0.5 * (inverse - np.outer(weights, weights))
        along_length = kernel.amplitude**2 * 5 / 3 * (1 + root) * decay * slope
        gradient = np.concatenate(
            [
                [2 * np.sum(slope * matern), 2 * kernel.noise**2 * np.trace(slope)],
                np.tensordot(scaled, along_length, axes=([1, 2], [0, 1])),
            ]
        )
        value = 0.5 * self._values @ weights + np.log(np.diag(factor)).sum() + 0.5 * point @ point
        return float(value), gradient * self._spread + point


def covariance_between(kernel: Kernel, column_lengths: Floats, left: Floats, right: Floats) -> Floats:
    root = _ROOT5 * np.sqrt(_squared(left / column_lengths, right / column_lengths))
    found = np.exp(-root)
    root *= 1 + root / 3
    root += 1
    found *= root
    found *= kernel.amplitude**2
    found += kernel.offset**2
    if kernel.linear > 0:
        found += kernel.linear**2 * (left @ right.T)
    return found


def _squared(left: Floats, right: Floats) -> Floats:
    found = left @ (-2.0 * right.T)
    found += np.einsum("ij,ij->i", left, left)[:, None]
    found += np.einsum("ij,ij->i", right, right)[None, :]
    return np.maximum(found, 0.0, out=found)
