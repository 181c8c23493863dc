"""What a spec means: names looked up, and what contradicts the model, the GPU or the engine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.errors import SpecError
from tuner.space.meaning import meaning_of
from tuner.spec import JobSpec

Job = Callable[..., JobSpec]

BAD: dict[str, tuple[dict[str, object], str, str]] = {
    "a model nobody knows": ({"model": "meta-llama/Llama-3.1-8C-Instruct"}, "model", "did you mean meta-llama/"),
    "a GPU nobody knows": ({"hardware": {"gpu": "h101", "gpus": 8}}, "hardware.gpu", "did you mean h100_sxm"),
    "one of two GPUs nobody knows": (
        {"hardware": {"gpu": ["h100", "zzzz"], "gpus": 8}},
        "hardware.gpu",
        "'zzzz'; known: a100_sxm",
    ),
    "an engine that cannot be simulated": ({"engine": "llama.cpp"}, "engine", "use tensorrt-llm, vllm, sglang"),
    "a request beyond the context": (
        {"workload": {"input_tokens": 131000, "output_tokens": 73}},
        "workload",
        "shorten it to 131072 tokens in all",
    ),
    "a GPU without a price": (
        {"hardware": {"gpu": "l40s", "gpus": 8}},
        "pricing.gpu_hour_usd",
        "give dollars per GPU-hour, or leave cost out",
    ),
    "a price of a GPU nobody knows": (
        {"pricing": {"gpu_hour_usd": {"h101": 1.0}}},
        "pricing.gpu_hour_usd",
        "did you mean h100_sxm",
    ),
    "a model without data on the GPU": (
        {"model": "XiaomiMiMo/MiMo-V2-Flash", "hardware": {"gpu": "b200", "gpus": 8}},
        "hardware.gpu",
        "it has on h100_sxm",
    ),
    "a trace that is not there": (
        {"workload": {"input_tokens": {"trace": "/nowhere"}, "output_tokens": 1}},
        "workload.input_tokens.trace",
        "cannot read /nowhere",
    ),
    "a width in words": ({"space": {"tensor_parallel": "two"}}, "space.tensor_parallel", "a whole number above 0"),
    "a width of nothing": ({"space": {"tensor_parallel": 0}}, "space.tensor_parallel", "a whole number above 0"),
    "a width of true": ({"space": {"tensor_parallel": True}}, "space.tensor_parallel", "a whole number above 0"),
    "a switch in numbers": ({"space": {"chunked_prefill": 1}}, "space.chunked_prefill", "true or false"),
    "a precision in numbers": ({"space": {"weights": 8}}, "space.weights", "a name"),
}


@pytest.mark.parametrize(("changes", "field", "mend"), BAD.values(), ids=BAD)
def test_a_contradiction_names_the_field_and_the_mend(
    job: Job, changes: dict[str, object], field: str, mend: str
) -> None:
    with pytest.raises(SpecError) as caught:
        meaning_of(job(**changes))

    messages = {problem.field: problem.message for problem in caught.value.problems}
    assert mend in messages.get(field, ""), messages


def test_several_contradictions_are_named_together(job: Job) -> None:
    with pytest.raises(SpecError) as caught:
        meaning_of(job(model="nobody/x", hardware={"gpu": "zzzz", "gpus": 1}, space={"weights": 8}))

    assert {problem.field for problem in caught.value.problems} == {"model", "hardware.gpu", "space.weights"}


def test_a_request_of_the_whole_context_fits(job: Job) -> None:
    meaning = meaning_of(job(workload={"input_tokens": 131000, "output_tokens": 72}))

    assert meaning.lengths.sequence_max == meaning.model.context_tokens


def test_every_engine_and_gpu_with_data_is_a_target_once(job: Job) -> None:
    spec = job(engine=["tensorrt-llm", "vllm"], hardware={"gpu": ["h100", "b200", "h100_sxm"], "gpus": 8})

    targets = [(engine, gpu.name) for engine, gpu in meaning_of(spec).targets]

    assert targets == [
        ("tensorrt-llm", "h100_sxm"),
        ("tensorrt-llm", "b200_sxm"),
        ("vllm", "h100_sxm"),
        ("vllm", "b200_sxm"),
    ]


def test_a_target_without_data_is_left_out_while_another_has_it(job: Job) -> None:
    spec = job(model="XiaomiMiMo/MiMo-V2-Flash", hardware={"gpu": ["b200", "h200"], "gpus": 8})

    assert [gpu.name for _, gpu in meaning_of(spec).targets] == ["h200_sxm"]


def test_a_price_is_asked_for_only_where_cost_matters(job: Job) -> None:
    l40s = {"gpu": "l40s", "gpus": 8}

    assert meaning_of(job(hardware=l40s, objectives=["tpot"]))
    assert meaning_of(job(hardware=l40s, pricing={"gpu_hour_usd": 0.8}))
    assert meaning_of(job(hardware=l40s, pricing={"gpu_hour_usd": {"L40S": 0.8}}))
    with pytest.raises(SpecError, match="no price is known for l40s"):
        meaning_of(job(hardware=l40s, objectives=["tpot"], constraints={"cost_usd_per_million_tokens": 1}))


def test_a_checkpoint_directory_is_a_model(job: Job, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"holds no config\.json"):
        meaning_of(job(model=str(tmp_path)))
