import pytest

from service.cli.errors import BadUsageError
from service.cli.estimate import parse_knobs


def test_values_are_read_as_yaml_does() -> None:
    assert parse_knobs(["tensor_parallel=2", "attention_dp=true", "weights=fp8"]) == {
        "tensor_parallel": 2,
        "attention_dp": True,
        "weights": "fp8",
    }


@pytest.mark.parametrize("setting", ["tensor_parallel", "=2", "a=[1, 2]", "a={", "a="])
def test_what_is_no_setting_is_refused(setting: str) -> None:
    with pytest.raises(BadUsageError, match="--set"):
        parse_knobs([setting])
