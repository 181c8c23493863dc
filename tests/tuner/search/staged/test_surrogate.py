"""Predictions: calibrated by a few measurements, unmoved by one that contradicts all others, taught by earlier jobs."""

import numpy as np

from tests.tuner.search.staged.conftest import Machine
from tuner.search.staged.learned import corrections, taught
from tuner.search.staged.surrogate import learn

ROWS = [13, 22, 33, 48, 57, 70]


def error(machine: Machine, rows: list[int], values: np.ndarray) -> float:
    landscape = machine.landscape()
    found = learn("tpot_mean_ms", landscape.encoded, landscape.log_priors["tpot_mean_ms"], rows, values)
    mean, _ = found.predict(np.arange(len(landscape)))
    return float(np.abs(mean - truth(machine)).mean())


def truth(machine: Machine) -> np.ndarray:
    return np.log([figures["tpot_mean_ms"] for figures in machine.truth])


def test_a_few_measurements_halve_the_simulators_error(machine: Machine) -> None:
    logs = truth(machine)
    assert error(machine, ROWS, logs[ROWS]) < 0.6 * error(machine, [], logs[[]])


def test_one_contradicting_measurement_does_not_mislead(machine: Machine) -> None:
    logs = truth(machine)
    rows = [*ROWS, 41]
    broken = logs[rows].copy()
    broken[-1] += 2.5
    assert error(machine, rows, broken) < 1.6 * error(machine, ROWS, logs[ROWS])


def test_a_later_job_starts_from_what_an_earlier_one_learned(machine: Machine) -> None:
    landscape, logs = machine.landscape(), truth(machine)
    earlier = corrections(landscape, machine.configurations, machine.measured(ROWS), 1000, 100)
    second = taught(landscape, machine.configurations, earlier, 1000, 100)
    prior = landscape.log_priors["tpot_mean_ms"]
    found = learn("tpot_mean_ms", second.encoded, prior, [], np.empty(0), second.lessons)
    mean, _ = found.predict(np.arange(len(landscape)))
    assert np.abs(mean - logs).mean() < 0.7 * np.abs(prior[0] - logs).mean()


def test_believed_trials_narrow_the_prediction_and_leave_its_middle(machine: Machine) -> None:
    landscape, logs = machine.landscape(), truth(machine)
    found = learn("tpot_mean_ms", landscape.encoded, landscape.log_priors["tpot_mean_ms"], ROWS, logs[ROWS])
    before, after = found.predict(np.array([30])), found.believing(np.array([30])).predict(np.array([30]))
    assert abs(after[0][0] - before[0][0]) < 0.05
    assert after[1][0] < before[1][0]
