"""`paretune serve`: the API in this process, and workers beside it."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.output import AsJson

if TYPE_CHECKING:
    from service.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default PARETUNE_HOST or 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 picks a free one; default PARETUNE_PORT or 8321.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Worker processes beside the API.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Run the API and its workers until Ctrl-C; on SQLite the schema is brought up to date."""
    from service.cli.interrupts import Interrupted
    from service.cli.listening import listen, run_api, url_of
    from service.cli.output import print_json_line
    from service.cli.supervised import Workers
    from service.logs import configure
    from service.settings import load_settings

    settings = load_settings()
    configure(settings.log_format)
    try:
        with listen(host or settings.host, settings.port if port is None else port) as listener:
            _check_database(settings)
            if as_json:
                print_json_line({"url": url_of(listener)})
            typer.echo(f"paretune: serving at {url_of(listener)} (its API: /docs); Ctrl-C stops it", err=True)
            with Workers(workers):
                run_api(settings, listener)
    except Interrupted:
        return


def _check_database(settings: "Settings") -> None:
    """Raises `ServiceError` with the mend when the database does not answer."""
    from service.database import migrate
    from service.database.session import Database

    with Database(settings.url) as database:
        migrate.current_revision(database)
