"""`paretune worker`: one more worker for a service that is running."""

import typer

from service.cli.output import AsJson


def worker(as_json: AsJson = False) -> None:
    """Run a worker on the database of the settings until Ctrl-C; a job that is running then goes back into the queue."""
    import threading

    from service.cli.interrupts import Interrupted
    from service.cli.output import print_json_line
    from service.cli.supervised import Workers
    from service.settings import load_settings

    url = load_settings().url.render_as_string(hide_password=True)
    if as_json:
        print_json_line({"database": url})
    typer.echo(f"paretune: working on {url}; Ctrl-C stops it", err=True)
    try:
        with Workers(1):
            threading.Event().wait()
    except Interrupted:
        return
