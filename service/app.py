"""The API: one FastAPI application per settings."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from service import problems
from service.body import BodyLimit
from service.catalogue.routes import router as catalogue_router
from service.database import migrate
from service.database.session import Database
from service.dependencies import Clock, utc_now
from service.estimates.routes import router as estimates_router
from service.estimates.simulator import Simulator
from service.exports.routes import router as exports_router
from service.health.routes import router as health_router
from service.jobs.routes import router as jobs_router
from service.openapi import document
from service.predictions.routes import router as predictions_router
from service.settings import Settings
from service.trials.routes import router as trials_router

TAGS = [
    {"name": "jobs", "description": "Tuning requests: submit, look, cancel, delete."},
    {"name": "results", "description": "Trials, the frontier, the recommendations and what to deploy."},
    {"name": "estimates", "description": "One configuration, simulated at once."},
    {"name": "catalogue", "description": "What can be simulated."},
    {"name": "health", "description": "For load balancers and monitoring."},
]


def create_app(settings: Settings, clock: Clock = utc_now) -> FastAPI:
    """The API on the database of `settings`; it migrates the schema as it starts when the settings say so."""
    app = FastAPI(
        title="paretune",
        summary="Finds the cost, power and latency frontier of LLM inference engines",
        version=_version(),
        lifespan=_lifespan(settings),
        openapi_tags=TAGS,
    )
    app.state.settings = settings
    app.state.clock = clock
    app.state.simulator = Simulator()
    app.add_middleware(BodyLimit)
    problems.install(app)
    for router in (
        jobs_router,
        trials_router,
        predictions_router,
        exports_router,
        estimates_router,
        catalogue_router,
        health_router,
    ):
        app.include_router(router)
    app.openapi = document(app)  # type: ignore[method-assign]
    return app


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Database(settings.url) as database:
            if settings.migrates:
                await run_in_threadpool(migrate.upgrade, database)
            app.state.database = database
            yield

    return lifespan


def _version() -> str:
    try:
        return version("paretune")
    except PackageNotFoundError:
        return "0"
