"""Jobs on GPUs: several trials at once on GPUs of their own, with their energy, and their power as a knob."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tuner.evaluators.gpu_jobs import ROW, job, most_at_once, orders, uses, was_shared, workshop
from tests.tuner.power.scripted import Machine, is_changed
from tuner.configuration import Configuration
from tuner.engines.served import ledger_of
from tuner.errors import SpecError
from tuner.evaluators.measure import EngineSource, opened
from tuner.metrics import Provenance
from tuner.power.errors import PowerError
from tuner.search.staged.flight import Flight
from tuner.trial import FailureKind, Measurement

ENERGY, POWER = "energy_joules_per_output_token", "power_watts_per_gpu"


@pytest.fixture(autouse=True)
def standin(monkeypatch: pytest.MonkeyPatch, steps_folder: Path) -> None:
    """The stand-in does as it should, unless the test orders otherwise."""
    monkeypatch.setenv(*orders(steps_folder))


def add(machine: Machine, count: int) -> None:
    for _ in range(count):
        machine.add()


def ran(source: EngineSource, configuration: Configuration) -> Measurement:
    """A measurement that was not spoiled by a busy machine, where the client could not keep up."""
    for repeat in range(3):
        found = source.measure(configuration, repeat, lambda: False)
        if found.failure is None or "client was the limit" not in found.failure.detail:
            return found
    return found


def plain(found: Measurement, key: str) -> dict[str, object]:
    assert found.details is not None
    part = found.details[key]
    assert isinstance(part, dict)
    return part


# ---- GPUs of their own


def test_trials_run_at_once_and_never_on_one_gpu(machine: Machine, tmp_path: Path) -> None:
    add(machine, 4)
    machine.link((0, 1), (2, 3))
    rows = [replace(ROW, tensor_parallel=width, max_batch_size=size) for size in (8, 16) for width in (1, 2, 4)]
    waiting = list(rows)
    found: dict[int, Measurement] = {}

    with opened(job(), workshop(tmp_path)) as (_, source), Flight(source, lambda: False) as flight:
        while waiting or len(flight):
            while waiting and flight.has_room:
                flight.begin(len(rows) - len(waiting), waiting[0], 0)
                waiting.pop(0)
            found |= dict(flight.ended())

    assert sorted(found) == list(range(6))
    assert {one.failure.kind for one in found.values() if one.failure} <= {FailureKind.LOST}
    for row, one in zip(rows, (found[number] for number in range(6)), strict=True):
        assert one.details is not None
        devices = one.details["devices"]
        assert isinstance(devices, list)
        assert len(devices) == row.tensor_parallel
    assert not was_shared(machine)
    assert most_at_once(machine) >= 2
    assert all(end < time.monotonic() for gpu in machine.gpus for _, end in uses(gpu))
    assert ledger_of(tmp_path / "data").records() == []


def test_a_server_is_kept_with_its_gpu_while_only_load_and_power_change(machine: Machine, tmp_path: Path) -> None:
    add(machine, 1)
    spec = job(space={"power_limit_watts": [500]}, allow_power_control=True)

    with opened(spec, workshop(tmp_path, allow_power_control=True)) as (_, source):
        first = ran(source, ROW)
        again = source.measure(replace(ROW, concurrency=1, power_limit_watts=500), 0, lambda: False)

    assert first.failure is None, first.failure
    assert again.details is not None
    assert again.details["start_seconds"] == 0.0
    assert again.details["devices"] == [machine.gpus[0].uuid]


def test_an_idle_server_is_ended_where_its_gpu_is_needed(machine: Machine, tmp_path: Path) -> None:
    add(machine, 2)
    machine.link((0, 1))

    with opened(job(), workshop(tmp_path)) as (_, source):
        ran(source, ROW)
        wide = ran(source, replace(ROW, tensor_parallel=2))

    assert wide.failure is None, wide.failure
    assert len(uses(machine.gpus[0])) >= 2
    assert not was_shared(machine)


def test_a_gpu_in_mig_mode_is_skipped_and_named_where_there_are_too_few(machine: Machine, tmp_path: Path) -> None:
    add(machine, 2)
    machine.gpus[0].set(mig=1)

    with opened(job(), workshop(tmp_path)) as (_, source):
        assert source.slots == 1
        assert source.illegal(ROW) is None
        assert "it is for h200_sxm, and this machine has" in str(source.illegal(replace(ROW, gpu="h200_sxm")))
        refused = source.illegal(replace(ROW, tensor_parallel=2))
        found = ran(source, ROW)

    assert "2 GPUs are needed and 1 can be used here" in str(refused)
    assert "MIG mode is on" in str(refused)
    assert found.details is not None
    assert found.details["devices"] == [machine.gpus[1].uuid]
    assert uses(machine.gpus[0]) == []


def test_a_gpu_that_falls_off_the_bus_fails_its_trial_and_the_job_goes_on(machine: Machine, tmp_path: Path) -> None:
    add(machine, 2)

    def lost_once_it_is_used() -> bool:
        if not any(gpu.get("lost") for gpu in machine.gpus):
            for gpu in machine.gpus:
                if (gpu.folder / "processes").exists():
                    gpu.set(lost=1)
        return False

    with opened(job(), workshop(tmp_path)) as (_, source):
        failed = source.measure(ROW, 0, lost_once_it_is_used)
        fine = ran(source, ROW)

    assert failed.failure is not None
    assert failed.failure.kind is FailureKind.LOST
    assert "does not answer any more" in failed.failure.detail
    assert fine.failure is None, fine.failure
    assert fine.details is not None
    assert failed.details is not None
    assert fine.details["devices"] != failed.details["devices"]


def test_a_machine_without_nvml_is_one_error_with_the_mend(machine: Machine, tmp_path: Path) -> None:
    (machine.folder / "fail_nvmlInitWithFlags").write_text("9")
    with pytest.raises(PowerError, match=r"NVML is missing.*`paretune doctor`"), opened(job(), workshop(tmp_path)):
        pass


def test_gpus_of_another_type_are_refused_by_name(machine: Machine, tmp_path: Path) -> None:
    machine.add(name="NVIDIA A100-SXM4-80GB")
    with (
        pytest.raises(SpecError, match=r"this machine has 1 x NVIDIA A100-SXM4-80GB.*say a100_sxm") as caught,
        opened(job(), workshop(tmp_path)),
    ):
        pass
    assert caught.value.problems[0].field == "hardware.gpu"


def test_a_board_that_is_not_listed_is_taken_at_the_jobs_word(machine: Machine, tmp_path: Path) -> None:
    machine.add(name="NVIDIA H100 Engineering Sample")
    with opened(job(), workshop(tmp_path)) as (_, source):
        assert source.illegal(ROW) is None


# ---- energy


def test_the_energy_of_a_trial_is_within_one_percent_of_the_truth(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_folder: Path
) -> None:
    monkeypatch.setenv(*orders(steps_folder, watts=430))
    add(machine, 2)
    machine.link((0, 1))
    machine.gpus[0].set(celsius=61)

    with opened(job(measuring={"seconds": 12, "repeats": 1}), workshop(tmp_path)) as (_, source):
        found = ran(source, replace(ROW, tensor_parallel=2))

    assert found.failure is None, found.failure
    truth = 430 / found.metrics["output_tokens_per_second_per_gpu"]
    assert found.metrics[POWER] == pytest.approx(430, rel=0.01)
    assert found.metrics[ENERGY] == pytest.approx(truth, rel=0.01)
    assert found.provenance[ENERGY] is Provenance.MEASURED
    power = plain(found, "power")
    assert json.loads(json.dumps(power)) == power
    assert power["method"] == "counter"
    assert power["idle_watts"] == pytest.approx(200, rel=0.05)
    assert power["average_watts"] == pytest.approx(860, rel=0.01)
    assert isinstance(power["error_bound"], float)
    devices = power["devices"]
    assert isinstance(devices, dict)
    assert set(devices) == {gpu.uuid for gpu in machine.gpus}
    assert devices[machine.gpus[0].uuid]["temperature_celsius"] == 61


def test_a_gpu_without_a_counter_is_measured_by_samples_and_says_so(machine: Machine, tmp_path: Path) -> None:
    machine.add().fail("nvmlDeviceGetTotalEnergyConsumption", 3)

    with opened(job(), workshop(tmp_path)) as (_, source):
        found = ran(source, ROW)

    assert found.failure is None, found.failure
    assert plain(found, "power")["method"] == "samples"
    assert found.metrics[POWER] == pytest.approx(400, rel=0.05)


def test_energy_is_refused_where_a_gpu_tells_neither_energy_nor_power(machine: Machine, tmp_path: Path) -> None:
    machine.add(fail_power_instant=3).fail("nvmlDeviceGetTotalEnergyConsumption", 3)
    machine.gpus[0].fail("nvmlDeviceGetPowerUsage", 3)
    with (
        pytest.raises(SpecError, match=r"energy cannot be measured here.*objectives: \[cost, tpot\]"),
        opened(job(), workshop(tmp_path)),
    ):
        pass


# ---- power as a knob


def test_a_limit_holds_under_the_load_and_is_taken_back(machine: Machine, tmp_path: Path) -> None:
    add(machine, 1)
    spec = job(space={"power_limit_watts": [300]}, allow_power_control=True)

    with opened(spec, workshop(tmp_path, allow_power_control=True)) as (_, source):
        found = ran(source, replace(ROW, power_limit_watts=300, gpu_clock_mhz=1500))
        between = is_changed(*machine.gpus)

    assert found.failure is None, found.failure
    assert found.metrics[POWER] == pytest.approx(300, rel=0.01)
    devices = plain(found, "power")["devices"]
    assert isinstance(devices, dict)
    assert devices[machine.gpus[0].uuid]["sm_clock_mhz"] == 1500
    assert between == is_changed(*machine.gpus) == [False]


def test_a_limit_is_taken_back_after_a_trial_that_fails(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_folder: Path
) -> None:
    monkeypatch.setenv(*orders(steps_folder, {"kind": "mid_stream_error"}))
    add(machine, 1)
    spec = job(space={"power_limit_watts": [300]}, allow_power_control=True)

    with opened(spec, workshop(tmp_path, allow_power_control=True)) as (_, source):
        found = source.measure(replace(ROW, power_limit_watts=300), 0, lambda: False)

    assert found.failure is not None
    assert is_changed(*machine.gpus) == [False]


def test_a_limit_that_the_gpu_does_not_take_is_unsupported_and_names_its_bounds(
    machine: Machine, tmp_path: Path
) -> None:
    add(machine, 1)
    spec = job(space={"power_limit_watts": [300]}, allow_power_control=True)

    with opened(spec, workshop(tmp_path, allow_power_control=True)) as (_, source):
        found = source.measure(replace(ROW, power_limit_watts=900), 0, lambda: False)

    assert found.failure is not None
    assert found.failure.kind is FailureKind.UNSUPPORTED
    assert "200 to 700 W" in found.failure.detail


def test_power_is_left_alone_unless_job_worker_and_system_allow_it(machine: Machine, tmp_path: Path) -> None:
    add(machine, 1)
    space = {"power_limit_watts": [300]}
    with pytest.raises(SpecError, match="say allow_power_control: true"):
        job(space=space)
    allowed = job(space=space, allow_power_control=True)
    with pytest.raises(SpecError, match="PARETUNE_ALLOW_POWER_CONTROL=true"), opened(allowed, workshop(tmp_path)):
        pass
    machine.forbid_changes()
    with (
        pytest.raises(SpecError, match="run paretune's worker as root"),
        opened(allowed, workshop(tmp_path, allow_power_control=True)),
    ):
        pass
