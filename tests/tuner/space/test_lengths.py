"""Prompt and output lengths: fixed, spread and traced."""

import json
from pathlib import Path

import pytest

from tuner.errors import SpecError
from tuner.space.lengths import Lengths, lengths_of, read_trace
from tuner.spec_workload import Workload

FIELD = "workload.input_tokens.trace"


def trace(folder: Path, *lines: object) -> str:
    path = folder / "trace.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return str(path)


def test_fixed_lengths_are_their_own_mean_and_longest() -> None:
    found = lengths_of(Workload(input_tokens=1024, output_tokens=256))

    assert found == Lengths(1024.0, 1024, 256.0, 256)
    assert found.sequence_max == 1280


def test_spread_lengths_reach_three_deviations() -> None:
    workload = Workload.model_validate({"input_tokens": {"mean": 1000, "stdev": 100}, "output_tokens": 10})

    found = lengths_of(workload)

    assert (found.input_mean, found.input_max) == (1000.0, 1300)


def test_traced_lengths_are_those_of_the_file(tmp_path: Path) -> None:
    path = trace(tmp_path, {"input_tokens": 100, "output_tokens": 10}, "", {"input_tokens": 300, "output_tokens": 20})
    workload = Workload.model_validate({"input_tokens": {"trace": path}, "output_tokens": {"trace": path}})

    assert lengths_of(workload) == Lengths(200.0, 300, 15.0, 20)


def test_mooncake_names_are_understood_and_arrivals_put_in_order(tmp_path: Path) -> None:
    path = trace(
        tmp_path,
        {"timestamp": 2000, "input_length": 5, "output_length": 6},
        {"timestamp": 500, "input_length": 7, "output_length": 8},
    )

    requests = read_trace(path, FIELD)

    assert [(r.arrival_seconds, r.input_tokens, r.output_tokens) for r in requests] == [(0.5, 7, 8), (2.0, 5, 6)]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((), "holds no request"),
        (("{",), r"line 1: no JSON"),
        (("[1]",), r"line 1: no JSON object"),
        (({"input_tokens": 0, "output_tokens": 1},), r"line 1: input_tokens is 0; give a whole number"),
        (({"input_tokens": 1},), r"line 1: output_tokens is None"),
        (({"input_tokens": True, "output_tokens": 1},), r"input_tokens is True"),
        (({"input_tokens": 1, "output_tokens": 1, "arrival_seconds": -1},), r"arrival_seconds is -1"),
        (({"input_tokens": 1, "output_tokens": 1, "timestamp": "x"},), r"arrival_seconds is 'x'"),
        (
            (
                {"input_tokens": 1, "output_tokens": 1, "arrival_seconds": 1},
                {"input_tokens": 1, "output_tokens": 1},
            ),
            r"line 2: arrival_seconds is missing; give it on every line or on none",
        ),
    ],
)
def test_a_broken_trace_names_the_line(tmp_path: Path, lines: tuple[object, ...], words: str) -> None:
    path = trace(tmp_path, *lines)

    with pytest.raises(SpecError, match=words) as caught:
        read_trace(path, FIELD)

    assert caught.value.problems[0].field == FIELD


def test_a_trace_that_is_not_there_says_so() -> None:
    with pytest.raises(SpecError, match="cannot read /nowhere: No such file"):
        read_trace("/nowhere", FIELD)
