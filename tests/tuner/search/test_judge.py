"""What a job makes of an evaluation: complete, infeasible or failed, and how the constraints fared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.configuration import Configuration
from tuner.metrics import METRICS, Direction, Objective, Provenance
from tuner.search.judge import Judge, violations
from tuner.trial import Failure, FailureKind, Measurement, TrialState

CONFIGURATION = Configuration("tensorrt-llm", "h100_sxm")
OBJECTIVES = (Objective.COST, Objective.TPOT)


def measured(**metrics: float) -> Measurement:
    plain = {"cost_usd_per_million_output_tokens": 1.0, "tpot_mean_ms": 10.0}
    return Measurement(plain | metrics, dict.fromkeys(plain | metrics, Provenance.SIMULATED))


def test_what_keeps_every_bound_is_complete() -> None:
    trial = Judge({"tpot_mean_ms": 10.0}, OBJECTIVES).trial(3, CONFIGURATION, measured())

    assert (trial.number, trial.state, trial.failure) == (3, TrialState.COMPLETE, None)
    assert trial.metrics == measured().metrics


def test_what_breaks_a_bound_is_infeasible_and_keeps_its_figures() -> None:
    trial = Judge({"tpot_mean_ms": 9.99}, OBJECTIVES).trial(0, CONFIGURATION, measured())

    assert trial.state is TrialState.INFEASIBLE
    assert trial.metrics["tpot_mean_ms"] == 10.0


def test_a_failure_is_kept_with_its_reason() -> None:
    failure = Failure(FailureKind.OUT_OF_MEMORY, "needs more")

    trial = Judge({}, OBJECTIVES).trial(0, CONFIGURATION, Measurement(failure=failure))

    assert (trial.state, trial.failure) == (TrialState.FAILED, failure)


def test_a_trial_without_an_objective_has_failed() -> None:
    trial = Judge({}, (*OBJECTIVES, Objective.ENERGY)).trial(0, CONFIGURATION, measured())

    assert trial.state is TrialState.FAILED
    assert trial.failure is not None
    assert trial.failure.kind is FailureKind.UNSUPPORTED
    assert "energy_joules_per_output_token" in trial.failure.detail


@given(st.sampled_from(sorted(METRICS)), st.floats(0.01, 1e6), st.floats(0.01, 1e6))
def test_a_bound_is_kept_on_its_good_side(key: str, value: float, bound: float) -> None:
    better = value >= bound if METRICS[key].direction is Direction.MAXIMISE else value <= bound

    assert violations({key: value}, {key: bound}) == ({} if better else {key: value})


def test_the_constraint_that_excludes_most_comes_first_with_its_nearest_miss() -> None:
    judge = Judge({"tpot_mean_ms": 5.0, "requests_per_second": 8.0}, OBJECTIVES)
    figures = [(7.0, 9.0), (6.0, 9.0), (9.0, 7.5), (4.0, 9.0)]

    for number, (tpot, rate) in enumerate(figures):
        judge.trial(number, CONFIGURATION, measured(tpot_mean_ms=tpot, requests_per_second=rate))
    misses = judge.misses()

    assert [(miss.metric, miss.bound, miss.excluded) for miss in misses] == [
        ("tpot_mean_ms", 5.0, 3),
        ("requests_per_second", 8.0, 1),
    ]
    assert (misses[0].nearest_value, misses[0].nearest_trial) == (6.0, 1)
    assert (misses[1].nearest_value, misses[1].nearest_trial) == (7.5, 2)


@pytest.mark.parametrize("constraints", [{}, {"tpot_mean_ms": 100.0}])
def test_without_exclusions_there_are_no_misses(constraints: dict[str, float]) -> None:
    judge = Judge(constraints, OBJECTIVES)
    judge.trial(0, CONFIGURATION, measured())
    misses = judge.misses()

    assert misses == ()
