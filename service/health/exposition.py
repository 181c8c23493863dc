"""What Prometheus scrapes: counted in the database at each scrape, so that every API process says the same."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from service.database.session import Database
from service.jobs import store

MEDIA_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


def text(database: Database) -> bytes:
    """The metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Stored(database))
    return generate_latest(registry)


class _Stored(Collector):
    """Jobs by state and the trials they hold."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: the registry must not scrape as it registers."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One reading of the database."""
        with self._database.read() as session:
            by_state = store.count_by_state(session)
            trials = store.count_evaluated(session)
        jobs = GaugeMetricFamily("paretune_jobs", "Jobs by state", labels=["state"])
        for state, count in by_state.items():
            jobs.add_metric([state.value], count)
        yield jobs
        yield GaugeMetricFamily("paretune_trials", "Trials that the stored jobs hold", value=trials)
