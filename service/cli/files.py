"""The files of a finished job, as the public contract names them."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from service.cli.predictions import write_predictions
from service.cli.report import page
from service.cli.results import Results, counted
from service.client import RefusedError, ServiceClient, TrialAnswer
from tuner.configuration import Configuration
from tuner.metrics import Provenance
from tuner.spec import parse_spec
from tuner.trial import Failure, FailureKind, Trial, TrialState

_CONFLICT = 409


def write_all(folder: Path, client: ServiceClient, results: Results) -> Counter[str]:
    """Writes every file of the contract into `folder`; gives how many trials failed, by kind."""
    from tuner.space.choice import own_knobs_of

    document = json.dumps(results.document(), indent=2, ensure_ascii=False) + "\n"
    (folder / "result.json").write_text(document, encoding="utf-8")
    failures: Counter[str] = Counter()
    own = own_knobs_of(parse_spec(results.job["spec"]))
    _write_table(folder / "trials.csv", counted(client.trials(results.job["id"]), failures), own)
    _write_table(folder / "frontier.csv", results.frontier["points"], own)
    write_predictions(folder / "predictions.csv", client.predictions(results.job["id"]))
    (folder / "report.html").write_text(page(results), encoding="utf-8")
    for name, trial in results.picks.items():
        _write_exports(folder / "recommendations" / name, client, results.job["id"], name, trial)
    return failures


def _write_table(path: Path, trials: Iterable[TrialAnswer], own: Sequence[str]) -> None:
    from tuner.exports.table import write_trials

    with path.open("w", encoding="utf-8", newline="") as file:
        write_trials(file, (_trial(answer) for answer in trials), own)


def _write_exports(folder: Path, client: ServiceClient, job_id: str, name: str, trial: TrialAnswer) -> None:
    """Every export of one recommendation; formats that its engine or configuration has no use for are left out."""
    from tuner.exports import formats_for

    folder.mkdir(parents=True)
    for format_name in formats_for(str(trial["configuration"].get("engine", ""))):
        try:
            file = client.export(job_id, format_name, name)
        except RefusedError as error:
            if error.status != _CONFLICT:
                raise
            continue
        path = folder / file.name
        path.write_text(file.text, encoding="utf-8", newline="")
        if file.text.startswith("#!"):
            path.chmod(0o755)


def _trial(answer: TrialAnswer) -> Trial:
    failure = answer.get("failure")
    return Trial(
        number=answer["number"],
        configuration=Configuration.from_dict(answer["configuration"]),
        state=TrialState(answer["state"]),
        metrics=answer["metrics"],
        provenance={metric: Provenance(source) for metric, source in answer["provenance"].items()},
        failure=Failure(FailureKind(failure["kind"] or "crashed"), failure["detail"]) if failure is not None else None,
    )
