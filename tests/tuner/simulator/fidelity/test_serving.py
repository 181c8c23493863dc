"""Serving points predicted on the real kernel data, by the procedure they were measured with."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tuner.simulator.fidelity.serving import predict_row
from tuner.simulator.latency.calibration import NOT_CALIBRATED, shipped
from tuner.trial import FailureKind

if TYPE_CHECKING:
    from tuner.simulator.kernel_data import KernelData

MakeRow = Callable[..., dict[str, str]]


def test_a_row_gets_all_its_figures(serving_row: MakeRow, kernels: "KernelData") -> None:
    result = predict_row(serving_row(), kernels, shipped())
    figures = result.calibrated
    assert figures is not None
    assert 5 < (figures.ttft_ms or 0) < (figures.ttft_p99_ms or 0)
    assert 2 < (figures.tpot_ms or 0) < 50
    assert 140 < (figures.power_watts_per_gpu or 0) < 700
    assert figures.energy_joules_per_output_token == pytest.approx(
        (figures.power_watts_per_gpu or 0) / (figures.output_tokens_per_second_per_gpu or 1)
    )
    assert result.formula is not None


def test_the_same_row_gets_the_same_figures(serving_row: MakeRow, kernels: "KernelData") -> None:
    assert predict_row(serving_row(), kernels, shipped()) == predict_row(serving_row(), kernels, shipped())


def test_what_was_measured_changes_nothing(serving_row: MakeRow, kernels: "KernelData") -> None:
    known = predict_row(serving_row(), kernels, shipped())
    stripped = predict_row(serving_row(silicon_ttft_ms="", silicon_tpot_ms=""), kernels, shipped())
    assert known.calibrated == stripped.calibrated


def test_without_calibration_only_kernels_speak(serving_row: MakeRow, kernels: "KernelData") -> None:
    bare = predict_row(serving_row(), kernels, NOT_CALIBRATED)
    assert bare.simulated == bare.calibrated


def test_attention_data_parallelism_and_experts_are_simulated(serving_row: MakeRow, kernels: "KernelData") -> None:
    row = serving_row(
        model_path="openai/gpt-oss-120b",
        precision="fp4",
        tp_size="1",
        attention_dp_size="2",
        moe_ep_size="2",
        moe_tp_size="1",
    )
    assert predict_row(row, kernels, shipped()).calibrated is not None


@pytest.mark.parametrize(
    ("cells", "kind", "said"),
    [
        ({"mode": "disagg"}, FailureKind.UNSUPPORTED, "only aggregated serving"),
        ({"model_path": "nobody/Nothing-7B"}, FailureKind.UNSUPPORTED, "is not known here"),
        ({"system": "tpu"}, FailureKind.UNSUPPORTED, "no kernel data for GPU"),
        ({"precision": "fp3"}, FailureKind.UNSUPPORTED, "fp3"),
        ({"tp_size": "3"}, FailureKind.UNSUPPORTED, "no kernel data"),
        ({"precision": "bf16", "tp_size": "1", "isl": "200000"}, FailureKind.OUT_OF_MEMORY, "less than one request"),
    ],
)
def test_a_row_that_cannot_be_predicted_says_why(
    serving_row: MakeRow, kernels: "KernelData", cells: dict[str, str], kind: FailureKind, said: str
) -> None:
    result = predict_row(serving_row(**cells), kernels, shipped())
    assert result.failure is not None
    assert result.failure.kind is kind
    assert said in result.failure.detail
    assert result.calibrated is None
