"""A finished job, read whole from the service, and the files made from it."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from service.client import FrontierAnswer, JobAnswer, RefusedError, ServiceClient, TrialAnswer
from tuner.configuration import Configuration
from tuner.metrics import Provenance
from tuner.trial import Failure, FailureKind, Trial, TrialState

_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Results:
    """A job that succeeded, its frontier by the first objective, and its recommendations by name."""

    job: JobAnswer
    frontier: FrontierAnswer
    picks: dict[str, TrialAnswer]

    @classmethod
    def read(cls, client: ServiceClient, job: JobAnswer) -> "Results":
        """The results of a job that has succeeded."""
        frontier = client.frontier(job["id"])
        picks = client.recommendations(job["id"]) if frontier["points"] else {}
        return cls(job, frontier, picks)

    def document(self) -> dict[str, object]:
        """The content of result.json."""
        return {
            "job": {"id": self.job["id"], "spec": self.job["spec"], "state": self.job["state"]},
            "search": self.job["search"],
            "objectives": self.frontier["objectives"],
            "frontier": [
                {
                    "trial": point["number"],
                    "configuration": point["configuration"],
                    "metrics": point["metrics"],
                    "provenance": point["provenance"],
                    "objectives": point["objectives"],
                }
                for point in self.frontier["points"]
            ],
            "recommendations": {name: trial["number"] for name, trial in self.picks.items()},
        }


def write_all(folder: Path, client: ServiceClient, results: Results) -> Counter[str]:
    """Writes every file of the contract into `folder`; gives how many trials failed, by kind."""
    from service.cli.report import page

    document = json.dumps(results.document(), indent=2, ensure_ascii=False) + "\n"
    (folder / "result.json").write_text(document, encoding="utf-8")
    failures: Counter[str] = Counter()
    _write_table(folder / "trials.csv", _counted(client.trials(results.job["id"]), failures))
    _write_table(folder / "frontier.csv", results.frontier["points"])
    (folder / "report.html").write_text(page(results), encoding="utf-8")
    for name, trial in results.picks.items():
        _write_exports(folder / "recommendations" / name, client, results.job["id"], name, trial)
    return failures


def count_failures(client: ServiceClient, job_id: str) -> Counter[str]:
    """How many trials of a job failed, by kind."""
    failures: Counter[str] = Counter()
    for _ in _counted(client.trials(job_id), failures):
        pass
    return failures


def _counted(trials: Iterable[TrialAnswer], failures: Counter[str]) -> Iterator[TrialAnswer]:
    for trial in trials:
        failure = trial.get("failure")
        if failure is not None:
            failures[failure["kind"] or "unknown"] += 1
        yield trial


def _write_table(path: Path, trials: Iterable[TrialAnswer]) -> None:
    from tuner.exports.table import write_trials

    with path.open("w", encoding="utf-8", newline="") as file:
        write_trials(file, (_trial(answer) for answer in trials))


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
