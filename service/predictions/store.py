"""Predictions in the database: written whole as a job ends, read by page."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from service.database.models import PredictionRow
from tuner.search.study import PredictedRow


def put_all(session: Session, job_id: str, predictions: Sequence[PredictedRow]) -> None:
    """Writes the predictions of a job in their order, in place of those it had."""
    session.execute(delete(PredictionRow).where(PredictionRow.job_id == job_id))
    rows = [
        {
            "job_id": job_id,
            "place": place,
            "configuration": found.configuration.to_dict(),
            "simulated": found.simulated,
            "calibrated": found.calibrated,
            "intervals": {metric: list(ends) for metric, ends in found.intervals.items()},
            "chance_feasible": found.chance_feasible,
        }
        for place, found in enumerate(predictions)
    ]
    if rows:
        session.execute(insert(PredictionRow), rows)


def page(session: Session, job_id: str, after: int | None, limit: int) -> Sequence[PredictionRow]:
    """At most `limit` predictions of a job behind a place, in order."""
    query = select(PredictionRow).where(PredictionRow.job_id == job_id)
    if after is not None:
        query = query.where(PredictionRow.place > after)
    return session.scalars(query.order_by(PredictionRow.place).limit(limit)).all()
