"""Each rule of the space: what it forbids, and what it says would be right."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.configuration import Configuration, KnobValue
from tuner.space.hardware import find_gpu
from tuner.space.models import model_shape
from tuner.space.rules import RULE_KNOB, RULES, Setting, broken, divisors

DENSE = Setting(model_shape("meta-llama/Llama-3.1-8B-Instruct"), find_gpu("h100_sxm"), 8, 1024)
EXPERTS = Setting(model_shape("Qwen/Qwen3-235B-A22B"), find_gpu("h200_sxm"), 16, 1024)
PLAIN = Configuration("tensorrt-llm", "h100_sxm", max_batch_size=64, concurrency=64)

CASES: dict[str, tuple[Setting, dict[str, KnobValue | None], str, str]] = {
    "heads": (DENSE, {"tensor_parallel": 3}, "attention_heads", "does not divide 32 attention heads; use 1, 2, 4 or 8"),
    "tp 64": (replace(DENSE, max_gpus=64), {"tensor_parallel": 64}, "attention_heads", "use 1, 2, 4 or 8"),
    "tp 16": (replace(DENSE, max_gpus=16), {"tensor_parallel": 16}, "tensor_parallel", "use 1, 2, 4 or 8"),
    "tp on few GPUs": (replace(DENSE, max_gpus=2), {"tensor_parallel": 16}, "tensor_parallel", "use 1 or 2"),
    "uneven stages": (DENSE, {"pipeline_parallel": 3}, "layers", "does not divide 32 layers; use 1, 2, 4 or 8"),
    "more stages than layers": (
        replace(DENSE, max_gpus=64),
        {"pipeline_parallel": 64, "concurrency": 64},
        "layers",
        "use 1, 2, 4, 8, 16 or 32",
    ),
    "experts of a dense model": (DENSE, {"tensor_parallel": 2, "expert_parallel": 2}, "expert_parallel", "use 1"),
    "experts beyond the group": (
        EXPERTS,
        {"tensor_parallel": 2, "expert_parallel": 4},
        "expert_parallel",
        "does not divide tensor_parallel 2; use 1 or 2",
    ),
    "attention_dp of a dense model": (DENSE, {"tensor_parallel": 2, "attention_dp": True}, "attention_dp", "use false"),
    "attention_dp on one GPU": (EXPERTS, {"attention_dp": True}, "attention_dp", "above 1; use false"),
    "moe_backend of a dense model": (DENSE, {"moe_backend": "CUTLASS"}, "moe_backend", "leave it out"),
    "too many GPUs": (DENSE, {"replicas": 9}, "gpus", "takes 9 GPUs and hardware.gpus is 8; use fewer, or raise"),
    "a precision nobody knows": (DENSE, {"weights": "fp5"}, "weights", "use one of bfloat16, fp8, fp8_block"),
    "nvfp4 on Hopper": (DENSE, {"weights": "nvfp4"}, "weights", "not computed by h100_sxm; use one of bfloat16, fp8"),
    "a KV cache without data": (DENSE, {"kv_cache": "nvfp4"}, "kv_cache", "use bfloat16 or fp8"),
    "a step below the prompt": (DENSE, {"max_num_tokens": 512}, "max_num_tokens", "use at least 1024, or chunked"),
    "idle stages": (DENSE, {"pipeline_parallel": 4, "concurrency": 3}, "load", "use at least 4"),
    "idle ranks": (EXPERTS, {"tensor_parallel": 8, "attention_dp": True, "concurrency": 7}, "load", "at least 8"),
    "a limit above the board's": (DENSE, {"power_limit_watts": 900}, "power_limit_watts", "use 200 to 700"),
    "a clock the GPU has not": (
        DENSE,
        {"gpu_clock_mhz": 9000},
        "gpu_clock_mhz",
        "is outside what h100_sxm allows; use",
    ),
    "a guessed speculation": (DENSE, {"speculative": "mtp"}, "speculative", "leave it out"),
}


@pytest.mark.parametrize(("setting", "knobs", "rule", "mend"), CASES.values(), ids=CASES)
def test_an_illegal_configuration_breaks_the_rule_that_says_what_is_right(
    setting: Setting, knobs: dict[str, KnobValue | None], rule: str, mend: str
) -> None:
    found = broken(replace(PLAIN, **knobs), setting)  # type: ignore[arg-type]

    assert found is not None
    assert found[0] == rule
    assert mend in found[1]


def test_every_rule_has_a_case() -> None:
    assert {rule for _, _, rule, _ in CASES.values()} == set(RULES)


def test_every_rule_is_blamed_on_a_knob() -> None:
    knobs = {RULE_KNOB.get(rule, rule) for rule in RULES}

    assert knobs <= set(Configuration.__dataclass_fields__)


@pytest.mark.parametrize(
    ("setting", "knobs"),
    [
        (DENSE, {"tensor_parallel": 8}),
        (DENSE, {"tensor_parallel": 2, "pipeline_parallel": 4}),
        (DENSE, {"replicas": 8, "weights": "fp8", "kv_cache": "fp8"}),
        (DENSE, {"max_num_tokens": 512, "chunked_prefill": True}),
        (EXPERTS, {"tensor_parallel": 8, "expert_parallel": 4, "attention_dp": True}),
        (replace(DENSE, gpu=find_gpu("b200_sxm")), {"weights": "nvfp4"}),
    ],
)
def test_a_legal_configuration_breaks_none(setting: Setting, knobs: dict[str, KnobValue]) -> None:
    assert broken(replace(PLAIN, **knobs), setting) is None  # type: ignore[arg-type]


@given(st.integers(1, 4096), st.sampled_from([1, 2, 4, 8, 64]))
def test_the_widths_offered_divide_and_stay_below_the_ceiling(number: int, ceiling: int) -> None:
    offered = [int(word) for word in divisors(number, ceiling).replace(" or ", ", ").split(", ")]

    assert offered == [width for width in (1, 2, 4, 8, 16, 32, 64) if number % width == 0 and width <= ceiling]
