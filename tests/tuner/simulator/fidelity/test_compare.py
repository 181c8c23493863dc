"""Errors of predictions: known by hand, and never of what was not measured."""

import pytest

from tuner.simulator.fidelity.compare import errors, grouped, pairs_by_group, variant
from tuner.simulator.fidelity.figures import Figures, Groups, RowResult
from tuner.trial import Failure, FailureKind

SIMULATED = variant("simulated")


def result(said: float | None, measured: float | None, gpu: str = "h100_sxm") -> RowResult:
    groups = Groups(gpu, "fp8", "a/model", "1024/128")
    return RowResult(groups, Figures(tpot_ms=measured), simulated=Figures(tpot_ms=said))


def test_errors_are_relative_to_what_was_measured() -> None:
    (found,) = errors([result(11.0, 10.0), result(6.0, 10.0), result(10.0, 10.0)], SIMULATED)
    assert (found.metric, found.count) == ("tpot_ms", 3)
    assert found.mean_absolute == pytest.approx(0.5 / 3)
    assert found.median_absolute == pytest.approx(0.1)
    assert found.bias == pytest.approx(-0.1)


@pytest.mark.parametrize(("said", "measured"), [(None, 10.0), (10.0, None), (float("inf"), 10.0)])
def test_a_figure_that_is_missing_counts_for_nothing(said: float | None, measured: float | None) -> None:
    assert errors([result(said, measured)], SIMULATED) == []


def test_a_failed_row_counts_for_nothing() -> None:
    failed = RowResult(
        Groups("", "", "", ""), Figures(tpot_ms=10.0), failure=Failure(FailureKind.UNSUPPORTED, "no data")
    )
    assert errors([failed], SIMULATED) == []


def test_groups_come_largest_first() -> None:
    results = [result(11.0, 10.0, "b200_sxm"), result(10.0, 10.0), result(10.0, 10.0)]
    assert list(grouped(results, "gpu", SIMULATED)) == ["h100_sxm", "b200_sxm"]


def test_small_groups_of_a_plot_are_thrown_together() -> None:
    results = [result(1.0, 2.0, gpu) for gpu in ("a", "a", "b", "c", "d")]
    found = pairs_by_group(results, "tpot_ms", "gpu", SIMULATED, 2)
    assert {name: len(pairs) for name, pairs in found.items()} == {"a": 2, "others": 3}
