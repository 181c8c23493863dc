"""A staged job from end to end on scripted GPUs: simulated first, then measured on TensorRT-LLM's stand-in."""

from pathlib import Path

import pytest

from tests.tuner.evaluators.gpu_jobs import job, orders, was_shared, workshop
from tests.tuner.power.scripted import Machine, is_changed
from tests.tuner.search.staged.test_loop import Recorder
from tuner.evaluators.pool import EvaluationPool
from tuner.metrics import Provenance
from tuner.search.run import run_job
from tuner.trial import TrialState


def test_a_staged_job_ends_in_a_frontier_with_measured_energy(
    machine: Machine, pool: EvaluationPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_folder: Path
) -> None:
    monkeypatch.setenv(*orders(steps_folder))
    for _ in range(4):
        machine.add()
    machine.link((0, 1), (2, 3))
    recorder = Recorder()
    spec = job(
        evaluator="staged",
        objectives=["cost", "energy", "tpot"],
        budget={"trials": 6},
        space={
            "tensor_parallel": [1, 2],
            "weights": ["bfloat16"],
            "kv_cache": ["bfloat16"],
            "concurrency": [1, 2],
            "power_limit_watts": [300, 700],
        },
        allow_power_control=True,
    )

    result = run_job(spec, recorder, pool, workshop=workshop(tmp_path, allow_power_control=True))

    complete = [trial for trial in recorder.latest.values() if trial.state is TrialState.COMPLETE]
    assert result.frontier
    assert {trial.number for trial in complete} >= set(result.frontier)
    for trial in complete:
        assert trial.provenance["energy_joules_per_output_token"] is Provenance.MEASURED
        limit = trial.configuration.power_limit_watts or 700
        assert trial.metrics["power_watts_per_gpu"] == pytest.approx(min(400, limit), rel=0.03)
        assert trial.reason is not None
    assert any(trial.reason and trial.reason.get("simulated") for trial in complete)
    assert not was_shared(machine)
    assert not any(is_changed(*machine.gpus))
