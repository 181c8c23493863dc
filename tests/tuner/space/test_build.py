"""The search space of a job: what it holds by default, how a spec narrows it, and what it refuses."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.configuration import Configuration
from tuner.errors import SpecError
from tuner.space.baseline import baseline_configurations
from tuner.space.build import build_space, setting_of
from tuner.space.meaning import meaning_of
from tuner.space.rules import RULES, broken
from tuner.spec import JobSpec

Job = Callable[..., JobSpec]
FIXED: dict[str, object] = {"input_tokens": 1024, "output_tokens": 128, "concurrency": 64}
RATE: dict[str, object] = {"input_tokens": 1024, "output_tokens": 128, "request_rate": 4}
MOE: dict[str, object] = {"model": "Qwen/Qwen3-30B-A3B", "hardware": {"gpu": "h200_sxm", "gpus": 8}}

BAD: dict[str, tuple[dict[str, object], str, str]] = {
    "a width that divides no heads": ({"space": {"tensor_parallel": 3}}, "space.tensor_parallel", "use 1, 2 or 4"),
    "a width without data": (
        {"space": {"tensor_parallel": [1, 16]}, "hardware": {"gpu": "h100", "gpus": 16}},
        "space.tensor_parallel",
        "use 1, 2, 4 or 8",
    ),
    "more GPUs than allowed": (
        {"space": {"tensor_parallel": 8}},
        "space.tensor_parallel",
        "use fewer, or raise hardware.gpus",
    ),
    "uneven stages": ({"space": {"pipeline_parallel": 3}}, "space.pipeline_parallel", "does not divide 32 layers"),
    "experts of a dense model": ({"space": {"expert_parallel": 2}}, "space.expert_parallel", "is dense; use 1"),
    "attention_dp of a dense model": ({"space": {"attention_dp": True}}, "space.attention_dp", "is dense; use false"),
    "a precision the GPU lacks": ({"space": {"weights": "nvfp4"}}, "space.weights", "use one of bfloat16, fp8"),
    "a precision nobody knows": ({"space": {"weights": "fp5"}}, "space.weights", "use one of bfloat16, fp8"),
    "a KV cache without data": ({"space": {"kv_cache": "nvfp4"}}, "space.kv_cache", "use bfloat16 or fp8"),
    "a step below the prompt": (
        {"space": {"max_num_tokens": 512, "chunked_prefill": False}},
        "space.max_num_tokens",
        "use at least 1024, or chunked_prefill: true",
    ),
    "too many replicas": ({"space": {"replicas": 5}}, "space.replicas", "hardware.gpus is 4"),
    "a load that leaves stages idle": (
        {"space": {"concurrency": 1, "pipeline_parallel": 4}},
        "space.concurrency",
        "use at least 4",
    ),
    "a kernel for experts without experts": (
        {"space": {"moe_backend": "CUTLASS"}},
        "space.moe_backend",
        "leave it out",
    ),
    "a guessed speculation": ({"space": {"speculative": "mtp"}}, "space.speculative", "leave it out"),
    "a checkpoint that no GPU here computes": (
        {"model": "nvidia/DeepSeek-V3.1-NVFP4", "space": {"weights": "nvfp4"}, "hardware": {"gpu": "h200", "gpus": 8}},
        "space.weights",
        "is not computed by h200_sxm",
    ),
}


@pytest.mark.parametrize(("changes", "field", "mend"), BAD.values(), ids=BAD)
def test_a_value_that_nothing_legal_has_is_refused_with_its_rule(
    job: Job, changes: dict[str, object], field: str, mend: str
) -> None:
    with pytest.raises(SpecError) as caught:
        build_space(job(**changes))

    messages = {problem.field: problem.message for problem in caught.value.problems}
    assert mend in messages.get(field, ""), messages


JOBS: dict[str, dict[str, object]] = {
    "dense": {},
    "one GPU": {"hardware": {"gpu": "h100_sxm", "gpus": 1}},
    "fixed load": {"workload": FIXED},
    "request rate": {"workload": RATE},
    "experts": MOE,
    "GPUs and engines": {"hardware": {"gpu": ["h100", "b200"], "gpus": 4}, "engine": ["tensorrt-llm", "vllm"]},
    "long prompts": {"workload": {"input_tokens": 30000, "output_tokens": 500, "concurrency": "auto"}},
    "narrowed": {"space": {"tensor_parallel": [1, 4], "weights": "fp8", "max_num_tokens": [4096, 8192]}},
}


@pytest.mark.parametrize("changes", JOBS.values(), ids=JOBS)
def test_every_configuration_is_legal_and_there_once(job: Job, changes: dict[str, object]) -> None:
    spec = job(**changes)
    meaning = meaning_of(spec)
    gpus = {gpu.name: setting_of(meaning, gpu) for _, gpu in meaning.targets}

    found = list(build_space(spec))

    assert found
    assert len(set(found)) == len(found)
    assert [broken(configuration, gpus[configuration.gpu]) for configuration in found] == [None] * len(found)


@pytest.mark.parametrize("changes", JOBS.values(), ids=JOBS)
def test_the_same_spec_gives_the_same_space_in_the_same_order(job: Job, changes: dict[str, object]) -> None:
    assert list(build_space(job(**changes))) == list(build_space(job(**changes)))


def test_every_legal_deployment_of_a_dense_model_is_there(job: Job) -> None:
    spec = job(hardware={"gpu": "h100_sxm", "gpus": 8})

    found = {(c.tensor_parallel, c.pipeline_parallel, c.replicas, c.weights, c.kv_cache) for c in build_space(spec)}

    widths = (1, 2, 4, 8)
    assert found == {
        (tp, pp, 8 // (tp * pp), weights, kv_cache)
        for tp, pp in itertools.product(widths, widths)
        for weights in ("bfloat16", "fp8", "fp8_block")
        for kv_cache in ("bfloat16", "fp8")
        if tp * pp <= 8
    }


def test_experts_attention_dp_and_widths_of_a_moe_model_are_searched(job: Job) -> None:
    found = list(build_space(job(**MOE)))

    assert {(c.tensor_parallel, c.expert_parallel) for c in found} == {
        (tp, ep) for tp, ep in itertools.product((1, 2, 4, 8), repeat=2) if tp % ep == 0
    }
    assert {c.attention_dp for c in found if c.tensor_parallel > 1} == {False, True}
    assert {c.attention_dp for c in found if c.tensor_parallel == 1} == {False}


def test_one_wide_replica_is_compared_with_many_narrow_ones(job: Job) -> None:
    found = {(c.replicas, c.tensor_parallel) for c in build_space(job(hardware={"gpu": "h100", "gpus": 8}))}

    assert {(1, 8), (8, 1)} <= found


def test_a_load_of_the_whole_deployment_is_shared_among_its_replicas(job: Job) -> None:
    found = list(build_space(job(workload=FIXED)))

    assert {c.replicas for c in found} >= {1, 2, 4}
    assert all(c.concurrency == -(-64 // c.replicas) for c in found)


def test_a_searched_load_fills_the_gpus(job: Job) -> None:
    found = list(build_space(job()))

    assert all(c.replicas == 4 // c.gpus_per_replica for c in found)
    assert {1, 1024} <= {c.concurrency for c in found}


def test_a_rate_searches_the_scheduler_and_not_the_load(job: Job) -> None:
    found = list(build_space(job(workload=RATE)))

    assert {c.max_batch_size for c in found} >= {8, 512}
    assert all(c.max_batch_size is not None for c in found)


@pytest.mark.parametrize("tokens", [100, 1024, 9000, 30000])
def test_a_step_holds_a_whole_prompt_or_chunks_it(job: Job, tokens: int) -> None:
    found = list(build_space(job(workload={"input_tokens": tokens, "output_tokens": 100})))

    assert all(c.chunked_prefill or c.max_num_tokens >= tokens for c in found)
    assert {c.chunked_prefill for c in found} == {False, True}


def test_precisions_go_down_from_the_checkpoints_own(job: Job) -> None:
    fp8 = build_space(job(model="Qwen/Qwen3-32B-FP8", hardware={"gpu": "h200", "gpus": 2}))
    mxfp4 = build_space(job(model="openai/gpt-oss-20b", hardware={"gpu": "h100", "gpus": 2}))

    assert "bfloat16" not in {c.weights for c in fp8}
    assert {c.weights for c in mxfp4} == {"mxfp4"}


def test_a_gpu_without_fp8_is_searched_without_it(job: Job) -> None:
    found = build_space(job(hardware={"gpu": "a100", "gpus": 2}, pricing={"gpu_hour_usd": 1}))

    assert {(c.weights, c.kv_cache) for c in found} == {("bfloat16", "bfloat16")}


@settings(max_examples=40, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "tensor_parallel": st.lists(st.sampled_from([1, 2, 3, 4, 8, 16]), min_size=1, max_size=3, unique=True),
            "pipeline_parallel": st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=2, unique=True),
            "weights": st.lists(st.sampled_from(["bfloat16", "fp8", "nvfp4"]), min_size=1, max_size=2, unique=True),
            "concurrency": st.lists(st.sampled_from([1, 3, 16, 100]), min_size=1, max_size=2, unique=True),
            "max_num_tokens": st.lists(st.sampled_from([512, 2048, 9999]), min_size=1, max_size=2, unique=True),
            "chunked_prefill": st.lists(st.booleans(), min_size=1, max_size=2, unique=True),
            "replicas": st.lists(st.sampled_from([1, 2, 9]), min_size=1, max_size=2, unique=True),
        },
    )
)
def test_narrowing_keeps_to_the_values_asked_for_or_says_which_is_wrong(
    job: Job, narrowed: dict[str, list[object]]
) -> None:
    found: list[Configuration] = []
    refusal = None
    try:
        found = list(build_space(job(space=narrowed)))
    except SpecError as error:
        refusal = error

    if refusal is None:
        assert found
        for knob, values in narrowed.items():
            assert {getattr(configuration, knob) for configuration in found} == set(values)
    else:
        assert all(problem.message for problem in refusal.problems)
        assert {problem.field for problem in refusal.problems} <= {
            *(f"space.{knob}" for knob in narrowed),
            "hardware.gpus",
        }


def test_a_space_of_hundreds_of_thousands_is_counted_without_a_list(job: Job) -> None:
    space = build_space(
        job(space={"concurrency": list(range(8, 1032)), "max_num_tokens": [2048, 4096, 8192, 12288, 16384]})
    )

    assert len(space) > 200_000
    assert space[len(space) - 1].concurrency == 1031


@pytest.mark.parametrize(
    "workload", [{"input_tokens": 1024, "output_tokens": 128}, FIXED, RATE], ids=["auto", "fixed", "rate"]
)
def test_the_default_deployments_are_legal_and_the_engines_own(job: Job, workload: dict[str, object]) -> None:
    meaning = meaning_of(job(workload=workload, hardware={"gpu": "h100", "gpus": 8}))

    found = list(baseline_configurations(meaning))

    assert [loads[0].tensor_parallel for loads in found] == [1, 2, 4, 8]
    for loads in found:
        assert {(c.max_batch_size, c.max_num_tokens, c.kv_cache) for c in loads} == {(2048, 8192, "bfloat16")}
        assert all(c.replicas * c.tensor_parallel == 8 for c in loads)
        assert all(broken(c, setting_of(meaning, meaning.targets[0][1])) is None for c in loads)


def test_the_default_deployment_chunks_prompts_that_leave_a_step_no_room(job: Job) -> None:
    short = meaning_of(job(workload={"input_tokens": 7936, "output_tokens": 1}))
    long = meaning_of(job(workload={"input_tokens": 7937, "output_tokens": 1}))

    assert [next(baseline_configurations(m))[0].chunked_prefill for m in (short, long)] == [False, True]


def test_no_rule_depends_on_another_being_asked_first(job: Job) -> None:
    meaning = meaning_of(job())
    setting = setting_of(meaning, meaning.targets[0][1])
    odd = [
        Configuration("tensorrt-llm", "h100_sxm", tensor_parallel=tp, expert_parallel=ep)
        for tp in (1, 3)
        for ep in (1, 5)
    ]

    for configuration, rule in itertools.product([*odd, *(replace(c, weights="?") for c in odd)], RULES.values()):
        rule(configuration, setting)  # raises where it trips over another's business
