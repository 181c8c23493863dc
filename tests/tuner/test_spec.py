"""The job spec: what is understood, what is refused, and how the refusal helps."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import SpecError
from tuner.spec import Engine, EvaluatorName, JobSpec, MeasuringTool, parse_spec
from tuner.spec_file import load_spec
from tuner.spec_problems import near
from tuner.spec_workload import NormalLength, TraceLength

SpecData = Callable[..., dict[str, object]]
WORKLOAD: dict[str, object] = {"input_tokens": 1024, "output_tokens": 128}
HARDWARE: dict[str, object] = {"gpu": "h100_sxm", "gpus": 4}
OFFLINE: dict[str, object] = {"evaluator": "measure", "measuring": {"tool": "trtllm-bench"}}

BAD: dict[str, tuple[dict[str, object], str, str]] = {
    "unknown field": ({"modle": "x"}, "modle", "did you mean model?"),
    "unknown nested field": ({"hardware": {**HARDWARE, "gpuss": 1}}, "hardware.gpuss", "did you mean gpus"),
    "unknown length field": (
        {"workload": {**WORKLOAD, "input_tokens": {"mean": 9, "stdev": 1, "max": 2}}},
        "workload.input_tokens.max",
        "mean",
    ),
    "no model": ({"model": None}, "model", "is missing; give it"),
    "no workload": ({"workload": None}, "workload", "is missing; give it"),
    "a part that is no mapping": ({"workload": 3}, "workload", "must be a mapping of fields"),
    "no GPUs": ({"hardware": {"gpu": "h100_sxm", "gpus": 0}}, "hardware.gpus", "greater than or equal to 1"),
    "negative GPUs": ({"hardware": {"gpu": "h100_sxm", "gpus": -8}}, "hardware.gpus", "greater than or equal to 1"),
    "half a GPU": ({"hardware": {"gpu": "h100_sxm", "gpus": 1.5}}, "hardware.gpus", "integer"),
    "GPUs in words": ({"hardware": {"gpu": "h100_sxm", "gpus": "eight"}}, "hardware.gpus", "integer"),
    "an empty list of GPUs": ({"hardware": {"gpu": [], "gpus": 8}}, "hardware.gpu", "at least 1"),
    "an empty list of engines": ({"engine": []}, "engine", "at least 1"),
    "an empty prompt": (
        {"workload": {**WORKLOAD, "input_tokens": 0}},
        "workload.input_tokens",
        "greater than or equal to 1",
    ),
    "a negative output": (
        {"workload": {**WORKLOAD, "output_tokens": -1}},
        "workload.output_tokens",
        "greater than or equal to 1",
    ),
    "a negative spread": (
        {"workload": {**WORKLOAD, "output_tokens": {"mean": 9, "stdev": -1}}},
        "workload.output_tokens.stdev",
        "greater than or equal to 0",
    ),
    "no concurrency": (
        {"workload": {**WORKLOAD, "concurrency": 0}},
        "workload.concurrency",
        "greater than or equal to 1",
    ),
    "concurrency in words": ({"workload": {**WORKLOAD, "concurrency": "many"}}, "workload.concurrency", "auto"),
    "two loads": ({"workload": {**WORKLOAD, "concurrency": 4, "request_rate": 2}}, "workload", "keep one of the two"),
    "a request rate of nothing": (
        {"workload": {**WORKLOAD, "request_rate": 0}},
        "workload.request_rate",
        "above 0|greater than 0",
    ),
    "an endless request rate": (
        {"workload": {**WORKLOAD, "request_rate": math.inf}},
        "workload.request_rate",
        "finite",
    ),
    "bursts of a closed loop": ({"workload": {**WORKLOAD, "burstiness": 0.5}}, "workload", "give one, or leave"),
    "bursts of no shape": (
        {"workload": {**WORKLOAD, "request_rate": 1, "burstiness": 0}},
        "workload.burstiness",
        "greater than 0",
    ),
    "bursts in words": (
        {"workload": {**WORKLOAD, "request_rate": 1, "burstiness": "wild"}},
        "workload.burstiness",
        "must be constant or a number",
    ),
    "more in common than there is": ({"workload": {**WORKLOAD, "shared_prefix": 50}}, "workload.shared_prefix", "less"),
    "prefixes that nobody sees": ({"workload": {**WORKLOAD, "shared_prefix": 0.5}}, "", "measure it on an engine"),
    "an unknown objective": ({"objectives": ["costs"]}, "objectives", "'cost', 'energy', 'tpot'"),
    "no objective": ({"objectives": []}, "objectives", "at least 1"),
    "an objective twice": ({"objectives": ["cost", "cost"]}, "objectives", "keep each once"),
    "an unknown constraint": ({"constraints": {"ttft_p95": 500}}, "constraints", "did you mean ttft_p95_ms"),
    "a constraint in words": ({"constraints": {"ttft_p95_ms": "fast"}}, "constraints.ttft_p95_ms", "number"),
    "a constraint of nothing": ({"constraints": {"ttft_p95_ms": 0}}, "constraints", "a number above 0"),
    "an unknown engine": ({"engine": "vlm"}, "engine", "'tensorrt-llm', 'vllm'"),
    "an unknown evaluator": ({"evaluator": "guess"}, "evaluator", "'simulate', 'measure'"),
    "an unknown knob": ({"space": {"tensor_paralel": 2}}, "space", "did you mean tensor_parallel"),
    "a knob that has a field": ({"space": {"gpu": "h100_sxm"}}, "space", "name it in hardware.gpu"),
    "a knob without values": ({"space": {"tensor_parallel": []}}, "space.tensor_parallel", "at least 1"),
    "a negative price": ({"pricing": {"gpu_hour_usd": -1}}, "pricing.gpu_hour_usd", "0 or more"),
    "an impossible PUE": ({"pricing": {"pue": 0.5}}, "pricing.pue", "greater than or equal to 1"),
    "a budget of nothing": ({"budget": {"trials": 0}}, "budget.trials", "greater than or equal to 1"),
    "energy of a tool that does not tell it": (
        {**OFFLINE, "objectives": ["cost", "energy"]},
        "measuring",
        "does not tell energy; leave it out, or use tool client",
    ),
    "the default objectives of a tool that does not tell energy": (
        {**OFFLINE, "objectives": None},
        "measuring",
        "energy",
    ),
    "a bound that the tool does not tell": (
        {**OFFLINE, "constraints": {"itl_p99_ms": 20}},
        "measuring",
        "does not tell itl_p99_ms",
    ),
    "another engine than the tool's": ({**OFFLINE, "engine": "vllm"}, "measuring", "say engine: tensorrt-llm"),
    "a rate that the tool does not send": (
        {**OFFLINE, "workload": {**WORKLOAD, "request_rate": 2}},
        "measuring",
        "give workload.concurrency",
    ),
    "an unknown tool": ({"measuring": {"tool": "aiperf"}}, "measuring.tool", "'client' or 'trtllm-bench'"),
    "a negative seed": ({"seed": -1}, "seed", "greater than or equal to 0"),
}


@pytest.mark.parametrize(("changes", "field", "mend"), BAD.values(), ids=BAD)
def test_a_bad_spec_names_the_field_and_the_mend(
    spec_data: SpecData, changes: dict[str, object], field: str, mend: str
) -> None:
    data = spec_data(**changes)

    with pytest.raises(SpecError) as caught:
        parse_spec(data)

    messages = {problem.field: problem.message for problem in caught.value.problems}
    named = [name for name in messages if name == field or name == f"{field}.0"]
    assert named, messages
    assert any(words in messages[named[0]] for words in mend.split("|"))


def test_the_tool_is_not_held_against_a_job_that_measures_nothing(spec_data: SpecData) -> None:
    spec = parse_spec(spec_data(**{**OFFLINE, "evaluator": "simulate", "objectives": ["cost", "energy"]}))

    assert spec.measuring.tool is MeasuringTool.TRTLLM_BENCH


def test_every_wrong_field_is_named_at_once(spec_data: SpecData) -> None:
    data = spec_data(modle="x", seed=-1, hardware={"gpu": "h100_sxm", "gpus": 0})

    with pytest.raises(SpecError) as caught:
        parse_spec(data)

    assert {problem.field for problem in caught.value.problems} == {"modle", "seed", "hardware.gpus"}


@pytest.mark.parametrize("data", [None, [], "model: x", 3])
def test_a_spec_that_is_no_mapping_says_how_to_start(data: object) -> None:
    with pytest.raises(SpecError, match="start with `model:`"):
        parse_spec(data)


def test_defaults_are_those_of_the_contract() -> None:
    spec = parse_spec({"model": "m", "hardware": {"gpu": "g", "gpus": 1}, "workload": WORKLOAD})

    assert spec.engine == (Engine.TENSORRT_LLM,)
    assert [objective.value for objective in spec.objectives] == ["cost", "energy", "tpot"]
    assert spec.evaluator is EvaluatorName.SIMULATE
    assert (spec.seed, spec.constraints, spec.space) == (0, {}, {})
    assert spec.workload.searches_concurrency


def test_one_name_and_a_list_of_one_are_the_same(spec_data: SpecData) -> None:
    one = parse_spec(spec_data(engine="vllm", space={"tensor_parallel": 2}))
    listed = parse_spec(
        spec_data(engine=["vllm"], hardware={"gpu": ["h100_sxm"], "gpus": 4}, space={"tensor_parallel": [2]})
    )

    assert one == listed


def test_values_of_a_knob_keep_their_type(spec_data: SpecData) -> None:
    spec = parse_spec(spec_data(space={"chunked_prefill": [True, False], "tensor_parallel": [1, 2], "weights": "fp8"}))

    assert [type(value) for value in spec.space["chunked_prefill"]] == [bool, bool]
    assert [type(value) for value in spec.space["tensor_parallel"]] == [int, int]
    assert spec.space["weights"] == ("fp8",)


def test_lengths_may_be_spread_or_traced(spec_data: SpecData) -> None:
    workload = {"input_tokens": {"mean": 900, "stdev": 90}, "output_tokens": {"trace": "t.jsonl"}, "request_rate": 2.5}
    spec = parse_spec(spec_data(workload=workload))

    assert spec.workload.input_tokens == NormalLength(mean=900, stdev=90)
    assert spec.workload.output_tokens == TraceLength(trace="t.jsonl")
    assert not spec.workload.searches_concurrency


FULL: dict[str, object] = {
    "name": "chat",
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "engine": ["tensorrt-llm", "vllm"],
    "hardware": {"gpu": ["h100_sxm", "b200_sxm"], "gpus": 8},
    "workload": {
        "input_tokens": {"mean": 900, "stdev": 90.5},
        "output_tokens": {"trace": "t.jsonl"},
        "concurrency": 64,
    },
    "objectives": ["energy", "ttft"],
    "constraints": {"ttft_p95_ms": 500, "gpu_memory_gib": 70},
    "evaluator": "staged",
    "replay": {"table": "rows.csv"},
    "budget": {"trials": 64, "minutes": 60, "gpu_hours": 8, "patience": 16},
    "pricing": {
        "gpu_hour_usd": {"h100_sxm": 1.5},
        "electricity_usd_per_kwh": 0.08,
        "pue": 1.25,
        "carbon_grams_per_kwh": 400,
    },
    "space": {"tensor_parallel": [1, 2], "weights": ["fp8"], "chunked_prefill": [True]},
    "seed": 7,
}


@pytest.mark.parametrize("mode", ["python", "json"])
def test_a_spec_survives_being_written_and_read(mode: str) -> None:
    spec = parse_spec(FULL)
    written = spec.model_dump(mode=mode) if mode == "python" else json.loads(spec.model_dump_json())

    assert parse_spec(written) == spec
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PATHS = st.sampled_from(
    [
        *((field,) for field in JobSpec.model_fields),
        *(("workload", field) for field in ("input_tokens", "output_tokens", "concurrency", "request_rate")),
        *(("workload", field) for field in ("burstiness", "shared_prefix")),
        *(("space", knob) for knob in ("tensor_parallel", "weights", "attention_dp")),
        *(("pricing", field) for field in ("gpu_hour_usd", "pue")),
        ("hardware", "gpu"),
        ("constraints", "ttft_p95_ms"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(path=PATHS, value=ANYTHING)
def test_whatever_stands_in_a_field_is_understood_or_refused_with_a_reason(
    path: tuple[str, ...], value: object
) -> None:
    data = json.loads(json.dumps(FULL))
    holder = data
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value

    refusal, spec = None, None
    try:
        spec = parse_spec(data)
    except SpecError as error:
        refusal = error
    if spec is not None:
        assert parse_spec(spec.model_dump(mode="json")) == spec
    if refusal is not None:
        assert refusal.problems, f"no reason is given for {path} = {value!r}"
        assert all(problem.message for problem in refusal.problems)


def test_a_file_may_be_yaml_or_json(tmp_path: Path, spec_data: SpecData) -> None:
    yaml_file, json_file = tmp_path / "job.yaml", tmp_path / "job.json"
    yaml_file.write_text(yaml.safe_dump(spec_data()))
    json_file.write_text(json.dumps(spec_data()))

    assert load_spec(yaml_file) == load_spec(json_file) == parse_spec(spec_data())


def test_a_broken_file_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("model: x\nhardware: {gpu: h100\nseed: 1\n")

    with pytest.raises(SpecError, match=r"job\.yaml is not valid YAML: line [23], column \d+: .+; mend that line"):
        load_spec(file)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b""], ids=["missing", "binary", "empty"])
def test_a_file_that_holds_no_spec_says_so(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "job.yaml"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SpecError) as caught:
        load_spec(file)

    assert str(caught.value)


def test_a_folder_is_no_spec(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read"):
        load_spec(tmp_path)


def test_paths_in_a_file_count_from_its_folder(tmp_path: Path, spec_data: SpecData) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text("{}")
    (tmp_path / "job.yaml").write_text(
        yaml.safe_dump(
            spec_data(
                model="checkpoint",
                workload={"input_tokens": {"trace": "t.jsonl"}, "output_tokens": {"trace": "/abs/t.jsonl"}},
                evaluator="staged",
                replay={"table": "rows.csv"},
            )
        )
    )

    spec = load_spec(tmp_path / "job.yaml")

    assert spec.model == str(tmp_path / "checkpoint")
    assert spec.workload.input_tokens == TraceLength(trace=str(tmp_path / "t.jsonl"))
    assert spec.workload.output_tokens == TraceLength(trace="/abs/t.jsonl")
    assert spec.replay is not None
    assert spec.replay.table == str(tmp_path / "rows.csv")


def test_near_names_the_likest_words() -> None:
    assert near("tensor_paralel", ["tensor_parallel", "weights"]) == "did you mean tensor_parallel?"
    assert near("zzz", ["b", "a"]) == "known: a, b"
    assert near("zzz", [str(number) for number in range(100)]).endswith("…")
