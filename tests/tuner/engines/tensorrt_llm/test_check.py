"""What `paretune validate FILE --engine tensorrt-llm` accepts, and what it says of what it refuses."""

import pytest
import yaml

from tuner.engines.tensorrt_llm import TrtllmArguments, check_arguments, parse_arguments, to_yaml
from tuner.errors import SpecError

LIKE_PUBLISHED = {
    "data-parallel attention with balance": """
        cuda_graph_config: {enable_padding: true, max_batch_size: 96}
        enable_attention_dp: true
        attention_dp_config: {batching_wait_iters: 0, enable_balance: true, timeout_iters: 30}
        print_iter_log: true
        kv_cache_config: {dtype: fp8, free_gpu_memory_fraction: 0.75}
        stream_interval: 20
        moe_config: {backend: DEEPGEMM, max_num_tokens: 4096}
        tensor_parallel_size: 8
        moe_expert_parallel_size: 8
        trust_remote_code: true
        backend: pytorch
        max_num_tokens: 8320
        max_seq_len: 9300
    """,
    "multi-token prediction, experts over part of the ranks": """
        max_batch_size: 8
        tensor_parallel_size: 8
        moe_expert_parallel_size: 2
        max_num_tokens: 16384
        moe_config: {backend: TRTLLM}
        num_postprocess_workers: 4
        speculative_config:
          decoding_type: MTP
          num_nextn_predict_layers: 3
          use_relaxed_acceptance_for_thinking: true
          relaxed_topk: 10
          relaxed_delta: 0.6
    """,
    "captured sizes listed, more than the scheduler's ceiling": """
        max_batch_size: 100
        max_num_tokens: 1160
        cuda_graph_config: {enable_padding: true, batch_sizes: [1, 2, 4, 8, 256]}
        enable_attention_dp: true
        env_overrides: {TRTLLM_ENABLE_PDL: 1}
    """,
    "graphs off, EAGLE3, cache sent elsewhere": """
        cuda_graph_config: null
        disable_overlap_scheduler: true
        cache_transceiver_config: {backend: UCX, max_tokens_in_buffer: 8448}
        speculative_config: {decoding_type: Eagle3, max_draft_len: 3, speculative_model_dir: drafts/eagle}
        scheduler_config: {capacity_scheduler_policy: MAX_UTILIZATION, context_chunking_policy: EQUAL_PROGRESS}
        allreduce_strategy: NCCL_SYMMETRIC
        load_format: DUMMY
    """,
    "nothing": "{}",
}


@pytest.mark.parametrize("text", LIKE_PUBLISHED.values(), ids=LIKE_PUBLISHED.keys())
def test_configurations_like_the_published_ones_are_taken_and_come_back_from_yaml(text: str) -> None:
    """Given a configuration in the way of NVIDIA's examples, when read, it is legal; written and read it is equal."""
    data = yaml.safe_load(text)
    assert check_arguments(data, version="1.2.1") == []
    arguments = parse_arguments(data)
    assert parse_arguments(yaml.safe_load(to_yaml(arguments))) == arguments


def test_the_defaults_are_those_of_1_2() -> None:
    """Given nothing, the arguments are the engine's own defaults."""
    defaults = TrtllmArguments()
    assert (defaults.max_batch_size, defaults.max_num_tokens, defaults.stream_interval) == (2048, 8192, 1)
    assert (defaults.kv_cache_config.dtype, defaults.kv_cache_config.free_gpu_memory_fraction) == ("auto", 0.9)
    assert defaults.cuda_graph_config is not None
    assert defaults.enable_chunked_prefill is False


@pytest.mark.parametrize(
    ("data", "field", "mend"),
    [
        ({"tp_size": 2}, "tp_size", "use tensor_parallel_size"),
        ({"tensor_paralel_size": 2}, "tensor_paralel_size", "did you mean tensor_parallel_size"),
        ({"kv_cache_free_gpu_memory_fraction": 0.8}, "kv_cache_free_gpu_memory_fraction", "kv_cache_config"),
        ({"kv_cache_config": {"dtyp": "fp8"}}, "kv_cache_config.dtyp", "did you mean dtype?"),
        ({"kv_cache_config": {"dtype": "bfloat16"}}, "kv_cache_config.dtype", "write auto"),
        ({"kv_cache_config": {"free_gpu_memory_fraction": 1.5}}, "kv_cache_config.free_gpu_memory_fraction", "1.5"),
        ({"kv_cache_config": {"use_kv_cache_manager_v2": True}}, "kv_cache_config.use_kv_cache_manager_v2", "1.3"),
        ({"moe_config": {"backend": "CUTLAS"}}, "moe_config.backend", "'CUTLASS'"),
        ({"moe_config": {"load_balancer": {"slots": 3}}}, "moe_config.load_balancer.slots", "num_slots"),
        ({"scheduler_config": {"dynamic_batch_config": {"x": 1}}}, "scheduler_config.dynamic_batch_config.x", "known"),
        ({"speculative_config": {"decoding_type": "mtp"}}, "speculative_config.decoding_type", "did you mean MTP?"),
        ({"speculative_config": {"max_draft_len": 1}}, "speculative_config.decoding_type", "is missing"),
        (
            {"speculative_config": {"decoding_type": "NGram", "max_drft_len": 1}},
            "speculative_config.max_drft_len",
            "did you mean max_draft_len",
        ),
        ({"sparse_attention_config": {"algorithm": "dsa", "topk": 1}}, "sparse_attention_config.topk", "index_topk"),
        ({"tensor_parallel_size": "8"}, "tensor_parallel_size", "valid integer"),
        ({"tensor_parallel_size": 0}, "tensor_parallel_size", "greater than or equal to 1"),
        ({"cuda_graph_config": True}, "cuda_graph_config", "not a mapping"),
        ({"backend": "tensorrt"}, "backend", "use pytorch"),
        ({"allreduce_strategy": "RING"}, "allreduce_strategy", "'NCCL'"),
        ({1: 2}, "1", "strings"),
        (["tensor_parallel_size"], "", "mapping of fields"),
        (None, "", "mapping of fields"),
    ],
)
def test_a_wrong_field_is_named_with_its_mend(data: object, field: str, mend: str) -> None:
    """Given one wrong field at any level, when checked, it alone is named, and the message says what is right."""
    problems = check_arguments(data)
    assert [problem.field for problem in problems] == [field]
    assert mend in problems[0].message


def test_every_wrong_field_is_named_at_once() -> None:
    """Given two wrong fields, both are reported."""
    fields = [problem.field for problem in check_arguments({"max_batch_size": -1, "ep_size": 2})]
    assert fields == ["max_batch_size", "ep_size"]


def test_parsing_raises_what_checking_reports() -> None:
    """Given a broken rule, parsing raises it as the spec error of that field."""
    with pytest.raises(SpecError, match=r"cuda_graph_config\.max_batch_size: 4 is not the largest"):
        parse_arguments({"cuda_graph_config": {"batch_sizes": [1, 8], "max_batch_size": 4}})


def test_an_unknown_version_is_refused() -> None:
    """Given a version without a model, checking says which there are."""
    with pytest.raises(SpecError, match=r"0\.9 is not known.*1\.2"):
        check_arguments({}, version="0.9")
