"""Writes what a study finds into its job: batches while it runs, and how it ended."""

import threading
from collections.abc import Sequence
from dataclasses import asdict

from pydantic import JsonValue

from service.database.models import ACTIVITY_LENGTH, JobState, JsonObject
from service.database.session import Database
from service.dependencies import Clock
from service.jobs.schemas import SearchView
from service.predictions import store as predictions
from service.trials import store as trials
from service.workers import lease as leases
from service.workers.heartbeat import Heartbeat
from service.workers.lease import Lease
from tuner.search.study import Baseline, PredictedRow, Progress, StudyResult
from tuner.trial import Trial


class Report:
    """The listener of one leased job; every write is one transaction and raises `LeaseLost` once the lease is gone."""

    def __init__(
        self, database: Database, lease: Lease, heartbeat: Heartbeat, stop: threading.Event, clock: Clock
    ) -> None:
        self._database = database
        self._lease = lease
        self._heartbeat = heartbeat
        self._stop = stop
        self._clock = clock

    def started(self, space_size: int, sampler: str, baseline: Baseline | None) -> None:  # noqa: ARG002
        """Keeps the size of the space and the baseline."""
        self._write({"planned": space_size, "baseline": _baseline(baseline)})

    def trials(self, batch: Sequence[Trial], progress: Progress, frontier: Sequence[int]) -> None:
        """Writes the batch, the progress and the frontier together, so that readers see them agree."""
        with self._database.write() as session:
            leases.write(session, self._lease, {**_progress(progress), "frontier": list(frontier)})
            trials.put(session, self._lease.job_id, batch)

    def doing(self, words: str | None) -> None:
        """Keeps what the measurements are at."""
        self._write({"activity": words and words[:ACTIVITY_LENGTH]})

    def cancelled(self) -> bool:
        """Whether the study must stop: the user, the worker's end or a lost lease asks for it. Costs nothing."""
        return self._stop.is_set() or self._heartbeat.cancel_requested.is_set() or self._heartbeat.lost.is_set()

    @property
    def cancelled_by_user(self) -> bool:
        """Whether the user asked the job to stop, and not the worker's own end."""
        return self._heartbeat.cancel_requested.is_set()

    def finished(self, result: StudyResult) -> None:
        """Ends the job as succeeded, or as cancelled where the study stopped early."""
        state = JobState.CANCELLED if result.cancelled else JobState.SUCCEEDED
        self._end(
            state,
            result.findings.predictions,
            {
                "search": SearchView.of(result).model_dump(mode="json"),
                "baseline": _baseline(result.baseline),
                "misses": [asdict(miss) for miss in result.misses],
                "frontier": list(result.frontier),
                "hypervolume": result.hypervolume,
                "evaluated": result.evaluated,
                "eta_seconds": None if result.cancelled else 0.0,
            },
        )

    def failed(self, kind: str, detail: str) -> None:
        """Ends the job as failed; what was found until then stays."""
        self._end(JobState.FAILED, (), {"failure": {"kind": kind, "detail": detail}, "eta_seconds": None})

    def handed_back(self) -> None:
        """Puts the job back into the queue."""
        with self._database.write() as session:
            leases.hand_back(session, self._lease)

    def given_up(self) -> None:
        """Puts the job back into the queue and remembers that it took its worker's processes down."""
        with self._database.write() as session:
            leases.give_up(session, self._lease)

    def earlier(self) -> list[Trial]:
        """The trials that an earlier lease of the job left."""
        with self._database.read() as session:
            return trials.all_of(session, self._lease.job_id)

    def _end(self, state: JobState, found: Sequence[PredictedRow], values: dict[str, object]) -> None:
        with self._database.write() as session:
            leases.write(
                session,
                self._lease,
                {
                    "state": state.value,
                    "finished_at": self._clock(),
                    "activity": None,
                    "lease_owner": None,
                    "lease_expires_at": None,
                    **values,
                },
            )
            predictions.put_all(session, self._lease.job_id, found)

    def _write(self, values: dict[str, object]) -> None:
        with self._database.write() as session:
            leases.write(session, self._lease, values)


def _progress(progress: Progress) -> dict[str, object]:
    return {
        "evaluated": progress.evaluated,
        "planned": progress.planned,
        "hypervolume": progress.hypervolume,
        "eta_seconds": progress.eta_seconds,
    }


def _baseline(baseline: Baseline | None) -> JsonObject | None:
    if baseline is None:
        return None
    configuration: dict[str, JsonValue] = dict(baseline.configuration.to_dict())
    metrics: dict[str, JsonValue] = dict(baseline.metrics)
    provenance: dict[str, JsonValue] = {key: found.value for key, found in baseline.provenance.items()}
    return {
        "configuration": configuration,
        "metrics": metrics,
        "provenance": provenance,
        "meets_constraints": baseline.meets_constraints,
    }
