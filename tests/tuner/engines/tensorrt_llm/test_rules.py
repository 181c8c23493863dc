"""Each combination that TensorRT-LLM refuses is refused here first, by name."""

import pytest

from tuner.engines.tensorrt_llm import RULES, Surroundings, TrtllmArguments, broken_rules, check_arguments
from tuner.space.hardware import find_gpu
from tuner.space.models import model_shape

LLAMA = Surroundings(model_shape("meta-llama/Llama-3.1-8B-Instruct"))
QWEN_MOE = Surroundings(model_shape("Qwen/Qwen3-30B-A3B"))
GROWN = {
    "decoding_type": "Eagle3",
    "max_draft_len": 2,
    "speculative_model": "d",
    "use_dynamic_tree": True,
    "dynamic_tree_max_topK": 10,
}
NGRAM = {"decoding_type": "NGram", "max_draft_len": 4}


def on(gpu: str, weights: str = "bfloat16") -> Surroundings:
    return Surroundings(LLAMA.model, find_gpu(gpu), weights)


ILLEGAL = [
    (
        "moe_parallel_product",
        {"tensor_parallel_size": 8, "moe_tensor_parallel_size": 2, "moe_expert_parallel_size": 2},
        QWEN_MOE,
    ),
    ("moe_parallel_product", {"tensor_parallel_size": 4, "moe_expert_parallel_size": 3}, Surroundings()),
    (
        "expert_division",
        {"tensor_parallel_size": 6, "moe_expert_parallel_size": 6, "enable_attention_dp": True},
        QWEN_MOE,
    ),
    ("attention_heads", {"tensor_parallel_size": 3}, LLAMA),
    ("pipeline_layers", {"pipeline_parallel_size": 33}, LLAMA),
    ("pipeline_partition", {"pipeline_parallel_size": 2, "pp_partition": [32]}, LLAMA),
    ("pipeline_partition", {"pipeline_parallel_size": 2, "pp_partition": [16, 8]}, LLAMA),
    ("attention_dp_waits", {"attention_dp_config": {"enable_balance": True, "timeout_iters": -1}}, Surroundings()),
    (
        "helix_block",
        {"context_parallel_size": 2, "cp_config": {"cp_type": "helix", "tokens_per_block": 64}},
        Surroundings(),
    ),
    ("cuda_graph_sizes", {"cuda_graph_config": {"batch_sizes": [1, 64], "max_batch_size": 32}}, Surroundings()),
    ("speculative_backend", {"speculative_config": {"decoding_type": "Medusa", "max_draft_len": 1}}, Surroundings()),
    ("speculative_backend", {"speculative_config": {"decoding_type": "Lookahead"}}, Surroundings()),
    ("draft_model", {"speculative_config": {"decoding_type": "Eagle", "max_draft_len": 3}}, Surroundings()),
    ("draft_model", {"speculative_config": {"decoding_type": "Eagle3", "max_draft_len": 3}}, Surroundings()),
    ("draft_model", {"speculative_config": {"decoding_type": "Draft_Target", "max_draft_len": 3}}, Surroundings()),
    ("draft_length", {"speculative_config": {"decoding_type": "NGram"}}, Surroundings()),
    ("draft_length", {"speculative_config": {"decoding_type": "Eagle", "speculative_model": "d"}}, Surroundings()),
    ("draft_length", {"speculative_config": {"decoding_type": "NGram", "max_draft_len": 0}}, Surroundings()),
    ("draft_schedule", {"speculative_config": {**NGRAM, "draft_len_schedule": {4: 2}}}, Surroundings()),
    ("draft_schedule", {"speculative_config": {**NGRAM, "draft_len_schedule": {1: 2}}}, Surroundings()),
    ("draft_tree", {"speculative_config": {**GROWN, "dynamic_tree_max_topK": None}}, Surroundings()),
    ("draft_tree", {"speculative_config": {**GROWN, "max_total_draft_tokens": 21}}, Surroundings()),
    ("draft_tree", {"speculative_config": {**GROWN, "max_total_draft_tokens": 1}}, Surroundings()),
    (
        "draft_tree",
        {
            "speculative_config": {
                "decoding_type": "Eagle3",
                "max_draft_len": 2,
                "speculative_model": "d",
                "eagle_choices": [[0]],
                "use_dynamic_tree": True,
            }
        },
        Surroundings(),
    ),
    ("speculative_pipeline", {"pipeline_parallel_size": 2, "speculative_config": NGRAM}, LLAMA),
    ("kv_cache_precision", {"kv_cache_config": {"dtype": "fp8"}}, on("a100_sxm")),
    ("kv_cache_precision", {"kv_cache_config": {"dtype": "nvfp4"}}, on("h100_sxm")),
    ("weight_precision", {}, on("a100_sxm", "fp8")),
    ("weight_precision", {}, on("l40s", "fp8_block")),
    ("weight_precision", {}, on("h200_sxm", "nvfp4")),
    ("lora_prefetch", {"peft_cache_config": {"lora_prefetch_dir": "adapters"}}, Surroundings()),
    ("ray_extension", {"ray_worker_extension_cls": "package.Worker"}, Surroundings()),
    ("calibration_file", {"layer_wise_benchmarks_config": {"calibration_mode": "COLLECT"}}, Surroundings()),
]


@pytest.mark.parametrize(
    ("rule", "data", "surroundings"), ILLEGAL, ids=[f"{r}-{i}" for i, (r, *_) in enumerate(ILLEGAL)]
)
def test_the_combination_is_refused_by_the_rule_of_that_name(
    rule: str, data: dict[str, object], surroundings: Surroundings
) -> None:
    """Given one illegal combination, that rule alone breaks, and names a field with the mend."""
    broken = broken_rules(TrtllmArguments.model_validate(data), surroundings)
    assert [one.rule for one in broken] == [rule]
    assert broken[0].field
    assert [problem.field for problem in check_arguments(data, surroundings=surroundings)] == [broken[0].field]


def test_every_rule_has_an_illegal_combination_here() -> None:
    """Given all rules, each is shown to break."""
    assert set(RULES) == {rule for rule, *_ in ILLEGAL}


@pytest.mark.parametrize(
    ("data", "surroundings"),
    [
        ({"tensor_parallel_size": 8, "moe_tensor_parallel_size": 2, "moe_expert_parallel_size": 4}, QWEN_MOE),
        ({"tensor_parallel_size": 8, "moe_expert_parallel_size": 2}, QWEN_MOE),
        ({"tensor_parallel_size": 3, "enable_attention_dp": True}, LLAMA),
        ({"pipeline_parallel_size": 32}, LLAMA),
        ({"cuda_graph_config": {"batch_sizes": [64, 1], "max_batch_size": 64}}, LLAMA),
        ({"cuda_graph_config": None}, LLAMA),
        ({"speculative_config": {**NGRAM, "draft_len_schedule": {1: 4, 8: 0}}}, LLAMA),
        ({"speculative_config": {"decoding_type": "MTP"}}, LLAMA),
        ({"kv_cache_config": {"dtype": "fp8"}}, on("l40s", "fp8")),
        ({"kv_cache_config": {"dtype": "nvfp4"}}, on("b200_sxm", "nvfp4")),
        ({}, on("h100_sxm", "fp8_block")),
    ],
)
def test_its_legal_neighbour_is_taken(data: dict[str, object], surroundings: Surroundings) -> None:
    """Given a legal combination next to an illegal one, nothing is refused."""
    assert check_arguments(data, surroundings=surroundings) == []
