"""A finished job, read whole from the service."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from service.client import FrontierAnswer, JobAnswer, ServiceClient, TrialAnswer


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


def count_failures(client: ServiceClient, job_id: str) -> Counter[str]:
    """How many trials of a job failed, by kind."""
    failures: Counter[str] = Counter()
    for _ in counted(client.trials(job_id), failures):
        pass
    return failures


def counted(trials: Iterable[TrialAnswer], failures: Counter[str]) -> Iterator[TrialAnswer]:
    """The trials as they come, their failures counted by kind on the way."""
    for trial in trials:
        failure = trial.get("failure")
        if failure is not None:
            failures[failure["kind"] or "unknown"] += 1
        yield trial
