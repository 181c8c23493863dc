"""What a user asks for: the job spec, validated field by field."""

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tuner.configuration import KNOBS, KnobValue
from tuner.errors import SpecError
from tuner.metrics import METRICS, Kind, Objective
from tuner.spec_problems import near, problems_of
from tuner.spec_workload import SpecPart, Whole, Workload


class Engine(StrEnum):
    """Inference engines that a job can name."""

    TENSORRT_LLM = "tensorrt-llm"
    VLLM = "vllm"
    SGLANG = "sglang"
    LLAMA_CPP = "llama.cpp"
    COMMAND = "command"


class EvaluatorName(StrEnum):
    """What turns a configuration into metrics."""

    SIMULATE = "simulate"
    MEASURE = "measure"
    STAGED = "staged"
    REPLAY = "replay"


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _one_or_list(values: tuple[Any, ...]) -> object:
    return values[0] if len(values) == 1 else list(values)


OneOrMore = (PlainSerializer(_one_or_list), Field(min_length=1))


class Hardware(SpecPart):
    """The GPUs to use: type (one name or a list to search) and the most that one deployment may take."""

    gpu: Annotated[tuple[str, ...], BeforeValidator(_as_tuple, json_schema_input_type=str | list[str]), *OneOrMore] = (
        Field(description="GPU type, or a list of types to search among", examples=["h100_sxm"])
    )
    gpus: Whole = Field(ge=1, le=4096, description="most GPUs one deployment may use, replicas included")


class Budget(SpecPart):
    """What may be spent on measurements; simulated sweeps are free and not limited by it."""

    trials: Whole | None = Field(default=None, ge=1, le=1_000_000)
    minutes: float | None = Field(default=None, gt=0)
    gpu_hours: float | None = Field(default=None, gt=0)
    patience: Whole | None = Field(default=None, ge=1)


class Owned(SpecPart):
    """Hardware bought: what one GPU costs with its share of host and network, written off over years at interest."""

    gpu_usd: float = Field(gt=0, description="purchase price of one GPU with its share of host and network")
    years: float = Field(gt=0, le=50, description="years over which it is written off")
    interest: float = Field(default=0.0, ge=0, le=1, description="yearly rate: 0.08 is 8 %")
    uptime: float = Field(default=1.0, gt=0, le=1, description="share of the hours in which it can be used at all")


class Pricing(SpecPart):
    """Prices in US dollars, electricity per kWh, carbon in grams of CO2 per kWh.

    GPUs are rented by the hour (`gpu_hour_usd`, or the price table at `tier`) or `owned`. A rented hour includes its
    electricity unless `electricity_usd_per_kwh` is given; owned hardware always pays for it.
    """

    gpu_hour_usd: float | dict[str, float] | None = Field(
        default=None, description="price of one GPU for one hour: a number, or one per GPU type; default: price table"
    )
    tier: Literal["hyperscaler", "neocloud", "retail"] | None = Field(
        default=None, description="tier of the price table; default: neocloud"
    )
    owned: Owned | None = None
    electricity_usd_per_kwh: float | None = Field(
        default=None, ge=0, description="electricity, where it is billed on top of the GPU-hour"
    )
    pue: float = Field(default=1.0, ge=1, le=10, description="power usage effectiveness of the data centre")
    carbon_grams_per_kwh: float | None = Field(default=None, ge=0)
    utilisation: float = Field(
        default=1.0, gt=0, le=1, description="share of the full-load throughput that real traffic uses"
    )

    @field_validator("gpu_hour_usd")
    @classmethod
    def _not_negative(cls, value: float | dict[str, float] | None) -> float | dict[str, float] | None:
        prices = value.values() if isinstance(value, dict) else () if value is None else (value,)
        if any(price < 0 for price in prices):
            raise ValueError("a price cannot be negative; give dollars per GPU-hour, 0 or more")
        return value

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        given = [name for name in ("gpu_hour_usd", "tier", "owned") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; keep one of them")
        if self.owned is not None and self.electricity_usd_per_kwh is None:
            raise ValueError("owned hardware pays for its electricity; give electricity_usd_per_kwh")
        return self


class Replay(SpecPart):
    """Measured rows that stand for measurements."""

    table: str = Field(min_length=1, description="path of a CSV file with configuration and metric columns")


class Command(SpecPart):
    """How an OpenAI-compatible server is started: an argument list, in which `{model}`, `{host}`, `{port}` and the name of
    any knob in braces stand for their values.
    """

    arguments: tuple[str, ...] = Field(min_length=1, description="program and arguments; never a shell line")
    ready: str = Field(default="/health", pattern="^/", description="path that answers 200 once the server is ready")
    environment: dict[str, str] = Field(default_factory=dict, description="environment variables beside paretune's own")
    knobs: "dict[str, SpaceValues]" = Field(default_factory=dict, description="the server's own knobs and their values")


class MeasuringTool(StrEnum):
    """What loads an engine to measure it."""

    CLIENT = "client"
    TRTLLM_BENCH = "trtllm-bench"


class Measuring(SpecPart):
    """With what, how long and how exactly each configuration is measured on a real engine."""

    tool: MeasuringTool = Field(
        default=MeasuringTool.CLIENT,
        description="paretune's own client on a server, or trtllm-bench offline, without one (TensorRT-LLM alone)",
    )
    precision: float = Field(
        default=0.03, gt=0, le=0.5, description="half width of the 95 % confidence interval, over the figure"
    )
    seconds: float = Field(default=120.0, ge=1, le=86_400, description="most seconds of load on one configuration")
    start_timeout_seconds: float | None = Field(
        default=None, gt=0, le=86_400, description="longest start of an engine; default: the engine's own"
    )
    repeats: Whole = Field(default=3, ge=1, le=20, description="most measurements of one configuration")


SpaceValues = Annotated[
    tuple[bool | int | float | str, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=KnobValue | list[KnobValue]),
    *OneOrMore,
]
SIMULATED_ENGINES: Final = (Engine.TENSORRT_LLM, Engine.VLLM, Engine.SGLANG)
"""Engines with kernel data; the others can only be measured."""
POWER_KNOBS: Final = ("power_limit_watts", "gpu_clock_mhz")
"""Knobs that are set on the machine's GPUs, not on the engine."""
_FIXED_KNOBS: Final = {"gpu": "hardware.gpu", "engine": "engine"}
CONSTRAINED_KINDS: Final = (Kind.LATENCY, Kind.MEMORY, Kind.POWER, Kind.COST, Kind.ENERGY, Kind.CARBON, Kind.THROUGHPUT)


class JobSpec(SpecPart):
    """One tuning request."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    model: str = Field(min_length=1, max_length=500, description="a known model name, or a checkpoint directory")
    engine: Annotated[
        tuple[Engine, ...], BeforeValidator(_as_tuple, json_schema_input_type=Engine | list[Engine]), *OneOrMore
    ] = (Engine.TENSORRT_LLM,)
    hardware: Hardware
    workload: Workload
    objectives: Annotated[
        tuple[Objective, ...], BeforeValidator(_as_tuple, json_schema_input_type=Objective | list[Objective])
    ] = Field(
        default=(Objective.COST, Objective.ENERGY, Objective.TPOT), min_length=1, description="metrics to minimise"
    )
    constraints: dict[str, float] = Field(default_factory=dict, description="bound of each constrained metric")
    evaluator: EvaluatorName = EvaluatorName.SIMULATE
    replay: Replay | None = None
    command: Command | None = None
    measuring: Measuring = Measuring()
    reuse: Literal["learned", "none"] = Field(
        default="learned", description="whether a staged job starts from what earlier jobs learned on such machines"
    )
    budget: Budget = Budget()
    pricing: Pricing = Pricing()
    space: dict[str, SpaceValues] = Field(default_factory=dict, description="values that narrow the default space")
    allow_power_control: bool = Field(
        default=False, description="whether measurements may set power limits and clocks of the machine's GPUs"
    )
    correction: bool = Field(default=True, description="whether simulated latencies are corrected by measured ones")
    seed: Whole = Field(default=0, ge=0, le=2**32 - 1)

    @model_validator(mode="after")
    def _table_where_needed(self) -> Self:
        if self.evaluator is EvaluatorName.REPLAY and self.replay is None:
            raise ValueError("evaluator replay needs a table; give replay: {table: FILE}")
        if self.replay is not None and self.evaluator not in (EvaluatorName.REPLAY, EvaluatorName.STAGED):
            raise ValueError(
                f"replay is not read by evaluator {self.evaluator.value}; use replay or staged, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _prefixes_where_seen(self) -> Self:
        if self.workload.shared_prefix and not (self.measures and self.replay is None):
            raise ValueError(
                f"workload.shared_prefix is not seen by evaluator {self.evaluator.value}; measure it on an engine "
                "(evaluator measure or staged), or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _command_where_needed(self) -> Self:
        if Engine.COMMAND in self.engine and self.command is None:
            raise ValueError("engine command needs to know what to start; give command: {arguments: [PROGRAM, …]}")
        return self

    @model_validator(mode="after")
    def _power_where_allowed(self) -> Self:
        if self.power_knobs and not self.allow_power_control:
            raise ValueError(
                f"space.{self.power_knobs[0]} changes the machine's GPUs while it is measured; say "
                "allow_power_control: true, or leave it out of space"
            )
        return self

    @property
    def power_knobs(self) -> tuple[str, ...]:
        """The knobs of its space that measurements set on the machine's GPUs themselves."""
        is_measured = self.measures and self.replay is None
        return tuple(knob for knob in POWER_KNOBS if knob in self.space) if is_measured else ()

    @property
    def measures(self) -> bool:
        """Whether trials are measurements, which nobody wants to make twice."""
        return self.evaluator in (EvaluatorName.MEASURE, EvaluatorName.STAGED)

    @property
    def starts_engines(self) -> bool:
        """Whether trials are measured on engines of this machine, not read from a table."""
        return self.measures and self.replay is None

    @field_validator("objectives", "engine")
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError("a name stands there twice; keep each once")
        return values

    @field_validator("constraints")
    @classmethod
    def _known_metrics(cls, constraints: dict[str, float]) -> dict[str, float]:
        for key, bound in constraints.items():
            if key not in METRICS:
                raise ValueError(f"{key!r} is no metric; {near(key, METRICS)}")
            if not (math.isfinite(bound) and bound > 0):
                raise ValueError(f"the bound of {key} is {bound}; give a number above 0")
        return constraints

    @field_validator("measuring")
    @classmethod
    def _tool_that_can(cls, measuring: Measuring, info: ValidationInfo) -> Measuring:
        """Fields that are wrong in themselves are not held against the tool."""
        given = info.data
        evaluator = given.get("evaluator")
        measures = evaluator in (EvaluatorName.MEASURE, EvaluatorName.STAGED) and given.get("replay") is None
        whole = {"engine", "workload", "objectives", "constraints"} <= given.keys()
        if measuring.tool is MeasuringTool.TRTLLM_BENCH and measures and whole:
            refused = refused_offline(given["engine"], given["workload"], given["objectives"], given["constraints"])
            if refused is not None:
                raise ValueError(f"tool {measuring.tool.value} {refused}, or use tool client")
        return measuring

    @field_validator("space")
    @classmethod
    def _known_knobs(
        cls, space: dict[str, tuple[KnobValue, ...]], info: ValidationInfo
    ) -> dict[str, tuple[KnobValue, ...]]:
        """Engines that are measured have knobs of their own, which are known where the space is made."""
        evaluator = info.data.get("evaluator", EvaluatorName.SIMULATE)
        measures = evaluator in (EvaluatorName.MEASURE, EvaluatorName.STAGED) and info.data.get("replay") is None
        for knob in space:
            if knob in _FIXED_KNOBS:
                raise ValueError(f"{knob!r} is not narrowed here; name it in {_FIXED_KNOBS[knob]}")
            if not measures and knob not in KNOBS:
                raise ValueError(f"{knob!r} is no knob; {near(knob, KNOBS)}")
        return space


def refused_offline(
    engines: Sequence[Engine], workload: Workload, objectives: Sequence[Objective], constraints: Iterable[str]
) -> str | None:
    """Why `trtllm-bench` cannot measure a job, with the mend; `None` when it can.

    Its report has throughput, and the latencies of whole requests, first tokens and mean tokens, and no more.
    """
    if tuple(engines) != (Engine.TENSORRT_LLM,):
        return f"measures TensorRT-LLM alone; say engine: {Engine.TENSORRT_LLM.value}"
    if workload.is_open:
        return "sends no requests at a rate or at a trace's times; give workload.concurrency"
    wanted = [*((objective.value, objective.metric) for objective in objectives), *((key, key) for key in constraints)]
    untold = next((name for name, metric in wanted if not is_told_offline(metric)), None)
    return None if untold is None else f"does not tell {untold}; leave it out"


def is_told_offline(metric: str) -> bool:
    """Whether a metric follows from the report of `trtllm-bench`."""
    known = METRICS[metric]
    if known.kind is Kind.LATENCY:
        return not metric.startswith("itl_")
    return known.kind is Kind.COST or (known.kind is Kind.THROUGHPUT and not metric.startswith("goodput_"))


def parse_spec(data: object) -> JobSpec:
    """The job spec of plain data (as YAML or JSON give it).

    Raises `SpecError` with one problem for each wrong field.
    """
    if not isinstance(data, Mapping):
        raise SpecError.of("", "a job spec is a mapping of fields; start with `model:`, `hardware:` and `workload:`")
    try:
        return JobSpec.model_validate(data)
    except ValidationError as error:
        raise SpecError(problems_of(error.errors(include_url=False), JobSpec)) from None
