"""Shapes of decoders, and the work of a step of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.simulator.power.decoder import decoder_from_config, decoder_from_size
from tuner.simulator.power.work import Layout, steady_load, step_work


def test_shape_of_qwen3_32b_has_its_published_size() -> None:
    config = {
        "num_hidden_layers": 64,
        "hidden_size": 5120,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 25600,
        "vocab_size": 151936,
    }
    assert decoder_from_config(config).dense_params == pytest.approx(32.0e9, rel=0.02)


def test_a_config_without_a_needed_field_names_it() -> None:
    with pytest.raises(ValueError, match="hidden_size"):
        decoder_from_config({"num_hidden_layers": 2, "num_attention_heads": 2})


@pytest.mark.parametrize(("total", "active"), [(8e9, 8e9), (30e9, 3e9), (671e9, 37e9), (120e9, 5e9)])
def test_a_decoder_from_sizes_keeps_them(total: float, active: float) -> None:
    shape = decoder_from_size(total, active)
    assert shape.dense_params + shape.expert_params == pytest.approx(total, rel=0.1)
    assert shape.active_params == pytest.approx(active, rel=0.5)


@given(st.floats(1, 1000), st.sampled_from([1, 2, 4, 8]))
def test_work_shrinks_with_gpus_and_grows_with_batch(batch: float, gpus: int) -> None:
    shape = decoder_from_size(32e9, 32e9)
    small = step_work(shape, steady_load(batch, 500, 500), Layout(gpus))
    large = step_work(shape, steady_load(2 * batch, 500, 500), Layout(gpus))
    alone = step_work(shape, steady_load(batch, 500, 500), Layout(1))
    assert large.memory_bytes > small.memory_bytes
    assert small.memory_bytes <= alone.memory_bytes
