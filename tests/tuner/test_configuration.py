"""A configuration: its sizes, and how it is written and read."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.configuration import KNOBS, Configuration, KnobValue

CONTRACT = """gpu replicas tensor_parallel pipeline_parallel expert_parallel attention_dp weights kv_cache
max_batch_size max_num_tokens concurrency chunked_prefill cuda_graphs moe_backend speculative
power_limit_watts gpu_clock_mhz"""

WIDTHS = st.sampled_from([1, 2, 4, 8])
CONFIGURATIONS = st.builds(
    Configuration,
    engine=st.sampled_from(["tensorrt-llm", "vllm"]),
    gpu=st.sampled_from(["h100_sxm", "b200_sxm"]),
    replicas=st.integers(1, 64),
    tensor_parallel=WIDTHS,
    pipeline_parallel=WIDTHS,
    attention_dp=st.booleans(),
    max_batch_size=st.none() | st.integers(1, 2048),
    concurrency=st.integers(1, 4096),
    moe_backend=st.none() | st.just("CUTLASS"),
    power_limit_watts=st.none() | st.integers(100, 1000),
)


def test_the_knobs_are_those_of_the_contract_in_its_order() -> None:
    assert list(KNOBS) == ["engine", *CONTRACT.split()]


@given(CONFIGURATIONS)
def test_a_configuration_survives_being_written_and_read(configuration: Configuration) -> None:
    written = configuration.to_dict()

    assert Configuration.from_dict(written) == configuration
    assert None not in written.values()
    assert list(written) == [knob for knob in KNOBS if knob in written]


def test_a_knob_that_is_not_common_is_no_field() -> None:
    with pytest.raises(TypeError):
        Configuration(engine="vllm", gpu="h100_sxm", tensor_paralel=2)  # type: ignore[call-arg]


def test_what_is_no_common_knob_is_kept_as_the_engines_own() -> None:
    plain: dict[str, KnobValue] = {"engine": "llama.cpp", "gpu": "cpu", "threads": 2, "flash_attention": True}

    found = Configuration.from_dict(plain)

    assert found.options == (("flash_attention", True), ("threads", 2))
    assert found.knob("threads") == 2
    assert plain.items() <= found.to_dict().items()
    assert Configuration.from_dict(found.to_dict()) == found


@given(CONFIGURATIONS)
def test_requests_are_spread_over_the_attention_ranks(configuration: Configuration) -> None:
    ranks = configuration.tensor_parallel if configuration.attention_dp else 1

    assert configuration.data_parallel_ranks == ranks
    assert configuration.requests_per_rank == math.ceil(configuration.concurrency / ranks)


@given(CONFIGURATIONS)
def test_a_deployment_takes_the_gpus_of_all_its_replicas(configuration: Configuration) -> None:
    assert configuration.gpus_per_replica == configuration.tensor_parallel * configuration.pipeline_parallel
    assert configuration.gpus == configuration.replicas * configuration.gpus_per_replica
