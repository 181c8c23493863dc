import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.load.arrivals import Closed, Open, Replayed, offsets, rate_of
from tuner.load.workload import Fixed, Length, Load, Normal, Traced, Uniform, load_of, mean_of
from tuner.spec_workload import Workload


def first(load: Load, count: int) -> list[tuple[int, int]]:
    return list(itertools.islice(load.lengths(), count))


def test_fixed_lengths_are_all_the_same() -> None:
    assert first(Load(Fixed(7), Fixed(3)), 2) == [(7, 3), (7, 3)]


@given(st.integers(1, 500), st.floats(0, 500), st.integers(0, 99))
def test_drawn_lengths_are_never_below_one_token(mean: int, stdev: float, seed: int) -> None:
    lengths = first(Load(Normal(mean, stdev), Uniform(1, mean), seed=seed), 50)

    assert all(prompt >= 1 and 1 <= output <= mean for prompt, output in lengths)


def test_a_seed_draws_the_same_load_again_and_sides_differ() -> None:
    load = Load(Normal(100, 30), Normal(100, 30), seed=4)

    assert first(load, 20) == first(load, 20)
    assert any(prompt != output for prompt, output in first(load, 20))


@pytest.mark.parametrize("length", [Fixed(9), Normal(200, 20), Uniform(80, 100), Traced((1, 2, 6))])
def test_the_mean_of_a_length_is_what_is_drawn_on_average(length: Length) -> None:
    drawn = [prompt for prompt, _ in first(Load(length, Fixed(1)), 3000)]

    assert np.mean(drawn) == pytest.approx(mean_of(length), rel=0.02)


def test_a_trace_is_kept_in_order_and_begins_again() -> None:
    load = Load(Traced((5, 6)), Traced((1, 2)))

    assert first(load, 3) == [(5, 1), (6, 2), (5, 1)]


def test_a_job_s_trace_gives_both_lengths_of_each_request(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    rows = [
        {"input_length": 5, "output_length": 1, "timestamp": 0},
        {"input_length": 6, "output_length": 2, "timestamp": 90},
    ]
    trace.write_text("\n".join(map(json.dumps, rows)))
    side = {"trace": str(trace)}
    workload = Workload.model_validate({"input_tokens": side, "output_tokens": side})

    assert load_of(workload, Closed(2)) == Load(Traced((5, 6)), Traced((1, 2)), Closed(2))


def test_a_job_s_outputs_may_come_from_another_trace(tmp_path: Path) -> None:
    for name, tokens in (("in", 5), ("out", 9)):
        (tmp_path / name).write_text(json.dumps({"input_tokens": tokens, "output_tokens": tokens + 1}))
    workload = Workload.model_validate(
        {"input_tokens": {"trace": str(tmp_path / "in")}, "output_tokens": {"trace": str(tmp_path / "out")}}
    )

    assert load_of(workload, Closed(1)) == Load(Traced((5,)), Traced((10,)), Closed(1))


def test_a_shared_prefix_is_a_share() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Load(Fixed(1), Fixed(1), shared_prefix=50)


@given(st.floats(0.1, 1000), st.sampled_from([None, 0.25, 1.0, 4.0]), st.integers(0, 99))
def test_arrivals_never_go_back_in_time(rate: float, burstiness: float | None, seed: int) -> None:
    moments = list(itertools.islice(offsets(Open(rate, burstiness), seed), 100))

    assert moments == sorted(moments)
    assert moments[0] >= 0


@pytest.mark.parametrize(("burstiness", "spread"), [(None, 0.0), (1.0, 1.0), (0.25, 2.0)])
def test_a_rate_is_kept_and_burstiness_sets_how_gaps_vary(burstiness: float | None, spread: float) -> None:
    gaps = np.diff(list(itertools.islice(offsets(Open(20.0, burstiness), 1), 20_000)))

    assert gaps.mean() == pytest.approx(0.05, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(spread, abs=0.1)


def test_a_trace_s_arrivals_begin_again_after_a_mean_gap() -> None:
    replayed = Replayed((10.0, 11.0, 14.0))

    assert list(itertools.islice(offsets(replayed, 0), 5)) == [0.0, 1.0, 4.0, 6.0, 7.0]
    assert rate_of(replayed) == pytest.approx(0.5)
    assert rate_of(Closed(3)) is None
