"""`json`: the trial with its job, configuration, figures, units and provenance."""

import json
import math

from tuner.exports.base import ExportContext, ExportFile
from tuner.metrics import METRICS


def write(context: ExportContext) -> ExportFile:
    """One object; a figure that is not known is absent. `intervals`: of 95 % confidence, of measured figures."""
    spec, trial = context.spec, context.trial
    metrics = {key: value for key, value in trial.metrics.items() if math.isfinite(value)}
    data = {
        "job": {"id": context.job_id, "name": spec.name},
        "pick": context.pick,
        "trial": trial.number,
        "state": trial.state.value,
        "model": spec.model,
        "workload": spec.workload.model_dump(mode="json", exclude_none=True),
        "constraints": spec.constraints,
        "configuration": trial.configuration.to_dict(),
        "metrics": metrics,
        "units": {key: METRICS[key].unit for key in metrics if key in METRICS},
        "provenance": {key: value.value for key, value in trial.provenance.items() if key in metrics},
        "intervals": {key: list(ends) for key, ends in trial.intervals.items() if key in metrics},
        "objectives": {
            objective.value: metrics[objective.metric] for objective in spec.objectives if objective.metric in metrics
        },
        "failure": None if trial.failure is None else {"kind": trial.failure.kind, "detail": trial.failure.detail},
    }
    return ExportFile("trial.json", "application/json", json.dumps(data, indent=2, ensure_ascii=False) + "\n")
