"""The measuring loop on a real engine: llama.cpp serves a tiny model, is loaded, measured and stopped."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.tuner.engines.tiny_model import write_model
from tuner.configuration import Configuration
from tuner.engines.registry import open_engine
from tuner.engines.served import ledger_of
from tuner.errors import SpecError
from tuner.evaluators.hosts import ProcessorHost
from tuner.evaluators.measure import RECORDS, EngineSource, opened
from tuner.evaluators.source import Workshop
from tuner.load.records import read_records
from tuner.metrics import Provenance
from tuner.space.choice import choices_of
from tuner.space.measured import reference_row
from tuner.spec import JobSpec, parse_spec
from tuner.trial import FailureKind

Plan = Callable[..., JobSpec]


class Uncounted(ProcessorHost):
    """A processor whose energy nobody counts, as in most virtual machines."""

    def no_energy(self) -> str | None:
        return "this machine does not tell the energy of its CPU"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Makes a job on a tiny model."""
    model = write_model(tmp_path / "tiny.gguf")

    def make(**changes: object) -> JobSpec:
        plain: dict[str, object] = {
            "model": str(model),
            "engine": "llama.cpp",
            "hardware": {"gpu": "cpu", "gpus": 1},
            "workload": {"input_tokens": 32, "output_tokens": 16},
            "objectives": ["cost", "request_latency"],
            "pricing": {"gpu_hour_usd": 0.1},
            "evaluator": "measure",
            "measuring": {"seconds": 4, "precision": 0.5, "repeats": 1},
            "space": {
                "weights": ["f16"],
                "kv_cache": ["f16", "q8_0"],
                "flash_attention": [False, True],
                "max_batch_size": [1, 2],
                "threads": [1],
                "micro_batch": [512],
                "max_num_tokens": [512],
                "concurrency": [1, 2],
            },
        }
        return parse_spec({**plain, **changes})

    return make


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "data", tmp_path / "data" / "measurements" / "job")


def test_the_space_is_the_engines_own_knobs_without_what_it_refuses(plan: Plan) -> None:
    rows = choices_of(plan())

    assert len(rows) == 9  # 3 ways of cache and attention, times loads that use their slots
    assert all(row.max_batch_size is not None and row.max_batch_size <= row.concurrency for row in rows)
    assert not [row for row in rows if row.kv_cache == "q8_0" and row.knob("flash_attention") is False]
    assert 0 <= reference_row(plan(), rows) < len(rows)


@pytest.mark.parametrize(
    ("space", "field"),
    [
        ({"thread": [1]}, "space.thread"),
        ({"threads": [0]}, "space.threads"),
        ({"concurrency": [0]}, "space.concurrency"),
    ],
)
def test_a_wrong_value_is_named(plan: Plan, space: dict[str, object], field: str) -> None:
    with pytest.raises(SpecError) as caught:
        choices_of(plan(space=space))

    assert caught.value.problems[0].field == field


def test_a_price_is_asked_for_where_cost_is_wanted(plan: Plan) -> None:
    with pytest.raises(SpecError, match="hour of the machine"):
        choices_of(plan(pricing={}))


def test_energy_is_refused_where_nothing_counts_it(plan: Plan, workshop: Workshop) -> None:
    spec = plan(objectives=["cost", "energy"])
    engine = open_engine("llama.cpp", spec.model, workshop.data_dir)

    with pytest.raises(SpecError, match=r"energy cannot be measured here.*objectives: \[cost\]") as caught:
        EngineSource(spec, engine, workshop.folder, Uncounted(workshop.data_dir)).check()

    assert caught.value.problems[0].field == "objectives"


def test_a_configuration_is_measured_and_nothing_is_left(plan: Plan, workshop: Workshop) -> None:
    spec = plan()
    row = next(row for row in choices_of(spec) if row.concurrency == 2 and row.max_batch_size == 2)

    with opened(spec, workshop) as (engine, source):
        found = source.measure(row, 0, lambda: False)
        assert engine.name == "llama.cpp"

    if found.failure is not None:  # the tiny model answers faster than a busy machine's client can tell
        assert found.failure.kind is FailureKind.LOST, found.failure
        assert "client" in found.failure.detail
    else:
        assert found.metrics["request_latency_mean_ms"] > 0
        assert found.provenance["cost_usd_per_million_output_tokens"] is Provenance.MEASURED
        assert found.details is not None
        assert {"machine", "engine", "start_seconds", "window_seconds", "requests"} <= set(found.details)
    assert (workshop.folder / "0001" / "engine.log").stat().st_size > 0
    assert ledger_of(workshop.data_dir).records() == []


def test_who_waits_is_told_what_a_measurement_is_at(plan: Plan, workshop: Workshop) -> None:
    spec = plan()
    seen: list[str | None] = []

    with opened(spec, workshop) as (_, source), ThreadPoolExecutor(1) as threads:
        measuring = threads.submit(source.measure, choices_of(spec)[0], 0, lambda: False)
        while not measuring.done():
            if seen[-1:] != [source.doing()]:
                seen.append(source.doing())
        assert source.doing() is None

    told = [words for words in seen if words is not None]
    assert "starting the engine" in told
    assert told[-1] == "measuring"


def test_requests_come_as_evenly_as_the_workload_says(plan: Plan, workshop: Workshop) -> None:
    spec = plan(workload={"input_tokens": 16, "output_tokens": 2, "request_rate": 20, "burstiness": "constant"})

    with opened(spec, workshop) as (_, source):
        source.measure(choices_of(spec)[0], 0, lambda: False)

    due = sorted(record.scheduled for record in read_records(workshop.folder / "0001" / RECORDS))
    assert len(due) > 10
    assert list(np.diff(due)) == pytest.approx([1 / 20] * (len(due) - 1), abs=1e-5)


def test_a_workload_with_a_common_prefix_is_served_with_a_prompt_cache(plan: Plan, workshop: Workshop) -> None:
    shared = plan(workload={"input_tokens": 32, "output_tokens": 4, "shared_prefix": 0.5})
    row = choices_of(shared)[0]

    with opened(shared, workshop) as (_, source):
        found = source.measure(row, 0, lambda: False)

    assert found.details is not None
    cached = [record.cached_tokens for record in read_records(workshop.folder / "0001" / RECORDS) if record.is_whole]
    assert max(tokens or 0 for tokens in cached) >= 15


def test_a_load_that_the_server_has_already_starts_no_other(plan: Plan, workshop: Workshop) -> None:
    spec = plan()
    rows = [row for row in choices_of(spec) if row.max_batch_size == 1 and row.kv_cache == "q8_0"]

    with opened(spec, workshop) as (_, source):
        starts = [source.measure(row, 0, lambda: False) for row in rows]

    assert len(rows) == 2
    ran = [found for found in starts if found.failure is None]
    assert all(found.details is not None for found in ran)
    if len(ran) == 2:
        first, second = (found.details["start_seconds"] for found in ran if found.details)
        assert (first != 0.0, second) == (True, 0.0)


def test_what_the_engine_refuses_is_a_failure_with_its_reason(plan: Plan, workshop: Workshop) -> None:
    wrong = Configuration("llama.cpp", "cpu", weights="f16", kv_cache="q8_0", options=(("flash_attention", False),))

    with opened(plan(), workshop) as (_, source):
        found = source.measure(wrong, 0, lambda: False)

    assert found.failure is not None
    assert found.failure.kind is FailureKind.UNSUPPORTED
    assert "flash attention" in found.failure.detail


def test_a_cancelled_measurement_ends_its_engine(plan: Plan, workshop: Workshop) -> None:
    spec = plan()

    with opened(spec, workshop) as (_, source):
        found = source.measure(choices_of(spec)[0], 0, lambda: True)

    assert found.failure is not None
    assert found.failure.kind is FailureKind.LOST
    assert ledger_of(workshop.data_dir).records() == []
