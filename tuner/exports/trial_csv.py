"""`csv`: the trial as one row in the columns of `trials.csv`, followed by its job, model and pick."""

import csv
import io

from tuner.exports.base import ExportContext, ExportFile
from tuner.exports.head import one_line
from tuner.exports.table import TRIAL_COLUMNS, trial_row


def write(context: ExportContext) -> ExportFile:
    """A header and one row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*TRIAL_COLUMNS, "job", "model", "pick"])
    writer.writerow([*trial_row(context.trial), context.job_id, one_line(context.spec.model), context.pick])
    return ExportFile("trial.csv", "text/csv", text.getvalue())
