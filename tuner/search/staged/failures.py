"""The chance that a configuration runs: the memory prediction corrected by what fitted, and failures seen nearby."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import log_ndtr, ndtr

from tuner.search.staged.beliefs import CATEGORY_LENGTH, COUNT_LENGTH
from tuner.search.staged.encoding import Encoded
from tuner.search.staged.gaussian_process import Kernel, covariance_between
from tuner.search.staged.landscape import Lesson

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_MEMORY_KERNEL: Final = (0.05, 0.08, 0.0, 0.03)
"""Smooth error, common error, slope and spread (log) of the memory that the simulator predicts."""
_BLIND_KERNEL: Final = (1.0, 0.5, 0.4, 0.3)
"""The same for a latent without units, where nothing predicts the failure."""
_BLIND_MEAN: Final = -1.5
_TRUST: Final = 0.9
_STEPS: Final = 30


@dataclass(frozen=True, slots=True)
class RunsModel:
    """Chance of failing over the space from a latent with a mean (n) and a probit link, by Laplace's approximation."""

    encoded: Encoded
    mean: Floats
    kernel: Kernel
    at: Indices
    gradient: Floats
    factor: Floats | None
    root: Floats
    log_evidence: float

    def chance(self, rows: Indices) -> Floats:
        """Chance that rows of the space run (0 to 1)."""
        mean = self.mean[rows].copy()
        features = self.encoded.features[rows]
        variance = np.full(len(rows), self.kernel.amplitude**2 + self.kernel.offset**2)
        variance += self.kernel.linear**2 * np.einsum("ij,ij->i", features, features)
        if self.factor is not None:
            lengths = self.kernel.lengths[self.encoded.groups] if len(self.encoded.groups) else np.ones(0)
            across = covariance_between(self.kernel, lengths, features, self.encoded.features[self.at])
            mean += across @ self.gradient
            reduction = solve_triangular(self.factor, (across * self.root).T, lower=True, check_finite=False)
            variance -= np.einsum("ij,ij->j", reduction, reduction)
        spread = np.sqrt(np.maximum(variance, 0.0) + self.kernel.noise**2)
        return np.asarray(ndtr(-mean / spread), dtype=np.float64)


def learn_runs(
    encoded: Encoded,
    log_memory: Floats | None,
    rows: Sequence[int],
    failed: Sequence[bool],
    lessons: Sequence[Lesson] = (),
) -> "Runs":
    """What rows that ran (or `failed` for want of memory) say of the others.

    `log_memory`: log of predicted memory over what a GPU holds, by row; `None` where it is not predicted. `lessons`:
    what earlier jobs saw of such rows, under the memory that was predicted for them then.
    """
    at = np.array([*(lesson.row for lesson in lessons), *rows], dtype=np.int64)
    outcome = np.array([*(lesson.failed for lesson in lessons), *failed], dtype=bool)
    unknown = np.full(len(encoded), _BLIND_MEAN)
    blind = _laplace(encoded, unknown, unknown[at], _BLIND_KERNEL, at, outcome)
    if log_memory is None:
        return Runs(blind, None, 0.0)
    then = log_memory[at]
    for place, lesson in enumerate(lessons):
        then[place] = lesson.log_memory if lesson.log_memory is not None else then[place]
    known = _laplace(encoded, log_memory, then, _MEMORY_KERNEL, at, outcome)
    odds = np.log(_TRUST / (1 - _TRUST)) + known.log_evidence - blind.log_evidence
    return Runs(blind, known, float(1 / (1 + np.exp(-np.clip(odds, -50, 50)))))


@dataclass(frozen=True, slots=True)
class Runs:
    """The average of a model that knows the predicted memory and one that does not; `trust` weighs the first."""

    blind: RunsModel
    known: RunsModel | None
    trust: float

    def chance(self, rows: Indices) -> Floats:
        """Chance that rows of the space run (0 to 1)."""
        if self.known is None:
            return self.blind.chance(rows)
        if self.trust > 1 - 1e-3:
            return self.known.chance(rows)
        return self.trust * self.known.chance(rows) + (1 - self.trust) * self.blind.chance(rows)


def _laplace(
    encoded: Encoded,
    mean: Floats,
    mean_at: Floats,
    parts: tuple[float, float, float, float],
    at: Indices,
    failed: NDArray[np.bool_],
) -> RunsModel:
    """Rasmussen & Williams 2006, algorithm 3.1, with a probit link of the kernel's noise as its spread.

    `mean`: of the latent, by row; `mean_at`: of the outcomes seen `at` some rows.
    """
    amplitude, offset, slope, noise = parts
    lengths = np.array([COUNT_LENGTH if count else CATEGORY_LENGTH for count in encoded.is_count])
    kernel = Kernel(amplitude, offset, slope, noise, lengths)
    if len(at) == 0:
        return RunsModel(encoded, mean, kernel, at, np.empty(0), None, np.empty(0), 0.0)
    columns = lengths[encoded.groups] if len(encoded.groups) else np.ones(0)
    covariance = covariance_between(kernel, columns, encoded.features[at], encoded.features[at])
    sign = np.where(failed, 1.0, -1.0)
    latent = np.zeros(len(at))
    for _ in range(_STEPS):
        gradient, curvature, _ = _probit(sign, mean_at + latent, noise)
        root = np.sqrt(curvature)
        factor = cholesky(np.eye(len(at)) + root[:, None] * covariance * root[None, :], lower=True)
        target = curvature * latent + gradient
        weights = target - root * cho_solve((factor, True), root * (covariance @ target))
        step = covariance @ weights
        if np.max(np.abs(step - latent)) < 1e-6:
            latent = step
            break
        latent = step
    gradient, curvature, log_likelihood = _probit(sign, mean_at + latent, noise)
    root = np.sqrt(curvature)
    factor = cholesky(np.eye(len(at)) + root[:, None] * covariance * root[None, :], lower=True)
    evidence = -0.5 * latent @ gradient + log_likelihood - np.log(np.diag(factor)).sum()
    return RunsModel(encoded, mean, kernel, at, gradient, factor, root, float(evidence))


def _probit(sign: Floats, latent: Floats, noise: float) -> tuple[Floats, Floats, float]:
    """Gradient and negative curvature of the log likelihood of each outcome, and the sum of the log likelihoods."""
    score = np.clip(sign * latent / noise, -30, 30)
    log_chance = log_ndtr(score)
    ratio = np.exp(-0.5 * score**2 - log_chance) / np.sqrt(2 * np.pi)
    return sign * ratio / noise, ratio * (score + ratio) / noise**2, float(log_chance.sum())
