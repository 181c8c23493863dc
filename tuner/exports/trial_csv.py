"""`csv`: the trial as one row in the columns of `trials.csv`, followed by its job, model and pick."""

import csv
import io

from tuner.exports.base import ExportContext, ExportFile
from tuner.exports.head import one_line
from tuner.exports.table import trial_columns, trial_row


def write(context: ExportContext) -> ExportFile:
    """A header and one row."""
    own = [name for name, _ in context.trial.configuration.options]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*trial_columns(own), "job", "model", "pick"])
    writer.writerow([*trial_row(context.trial, own), context.job_id, one_line(context.spec.model), context.pick])
    return ExportFile("trial.csv", "text/csv", text.getvalue())
