"""One configuration, simulated at once."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from tuner.configuration import KNOBS, Configuration, KnobValue
from tuner.errors import SpecError, SpecProblem
from tuner.evaluators.simulate import SimulateEvaluator
from tuner.metrics import Objective
from tuner.simulator.kernel_data import KernelData
from tuner.space.baseline import DEFAULT_MAX_NUM_TOKENS
from tuner.space.build import setting_of
from tuner.space.meaning import Meaning, meaning_of
from tuner.space.precision import supported_weights
from tuner.space.rules import RULE_KNOB, broken
from tuner.spec import Engine, Hardware, JobSpec, Pricing
from tuner.spec_problems import near
from tuner.spec_workload import Workload
from tuner.trial import Measurement

_MOST_GPUS: Final = 4096
_NAMED_APART: Final = frozenset({"engine", "gpu", "concurrency"})


class EstimateRequest(BaseModel):
    """One configuration to simulate: model, GPU, lengths in tokens, requests in flight per replica, and knobs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1, examples=["meta-llama/Llama-3.1-8B-Instruct"])
    gpu: str = Field(min_length=1, examples=["h100_sxm"])
    engine: Engine = Engine.TENSORRT_LLM
    input_tokens: int = Field(ge=1, le=10_000_000, examples=[1024])
    output_tokens: int = Field(ge=1, le=10_000_000, examples=[256])
    concurrency: int = Field(ge=1, le=1_000_000, examples=[32])
    configuration: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="knobs that differ from the engine's defaults", examples=[{"weights": "fp8"}]
    )
    pricing: Pricing = Pricing()
    correction: bool = Field(default=True, description="whether latencies are corrected by measured ones")


def simulate_one(request: EstimateRequest, kernels: KernelData) -> tuple[Configuration, Measurement]:
    """The configuration that a request means, and its simulated figures or failure.

    Raises `SpecError` naming the field when the request means nothing legal, `KernelDataError` when the machine lacks
    the data.
    """
    try:
        meaning = _meaning(request)
    except SpecError as error:
        raise SpecError([SpecProblem(_own_field(p.field), p.message) for p in error.problems]) from None
    configuration = _configuration(request, meaning)
    found = broken(configuration, setting_of(meaning, meaning.targets[0][1]))
    if found is not None:
        raise SpecError.of(f"configuration.{RULE_KNOB.get(found[0], found[0])}", found[1])
    return configuration, SimulateEvaluator(meaning, kernels).simulate(configuration)


def _own_field(field: str) -> str:
    """The request's name of a job spec's field."""
    for prefix, own in (("hardware.gpu", "gpu"), ("space.", "configuration."), ("workload", "input_tokens")):
        if field.startswith(prefix):
            return own + field.removeprefix(prefix) if prefix.endswith(".") else own
    return field


def _meaning(request: EstimateRequest) -> Meaning:
    spec = JobSpec(
        model=request.model,
        engine=(request.engine,),
        hardware=Hardware(gpu=(request.gpu,), gpus=_MOST_GPUS),
        workload=Workload(
            input_tokens=request.input_tokens, output_tokens=request.output_tokens, concurrency=request.concurrency
        ),
        objectives=(Objective.TPOT,),
        space=_space(request.configuration),
        pricing=request.pricing,
        correction=request.correction,
    )
    return meaning_of(spec)


def _space(knobs: Mapping[str, KnobValue]) -> dict[str, tuple[KnobValue, ...]]:
    for knob in knobs:
        if knob in _NAMED_APART:
            raise SpecError.of(f"configuration.{knob}", f"is named beside the configuration; give {knob} there")
        if knob not in KNOBS:
            raise SpecError.of(f"configuration.{knob}", f"is no knob; {near(knob, KNOBS)}")
    return {knob: (value,) for knob, value in knobs.items()}


def _configuration(request: EstimateRequest, meaning: Meaning) -> Configuration:
    """The request's knobs over the defaults: the checkpoint's precision and the engine's own limits."""
    gpu = meaning.targets[0][1]
    own = meaning.model.checkpoint_weights
    plain: dict[str, KnobValue] = {
        "weights": own if own in supported_weights(gpu) else "bfloat16",
        "max_num_tokens": max(DEFAULT_MAX_NUM_TOKENS, request.input_tokens),
        "concurrency": request.concurrency,
    }
    chosen = Configuration(engine=request.engine.value, gpu=gpu.name, **(plain | request.configuration))  # type: ignore[arg-type]
    if chosen.max_batch_size is not None:
        return chosen
    return Configuration.from_dict({**chosen.to_dict(), "max_batch_size": chosen.requests_per_rank})
