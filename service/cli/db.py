"""`paretune db upgrade`: the schema of the database."""

import typer

from service.cli.output import AsJson

app = typer.Typer(help="Look after the database.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _commands() -> None:
    """Look after the database."""


@app.command("upgrade")
def upgrade(as_json: AsJson = False) -> None:
    """Bring the schema of PARETUNE_DATABASE_URL up to date; harmless when it is."""
    from sqlalchemy.exc import SQLAlchemyError

    from service.cli.errors import FailedError
    from service.cli.output import print_json
    from service.database import migrate
    from service.database.session import Database
    from service.settings import load_settings

    url = load_settings().url
    shown = url.render_as_string(hide_password=True)
    try:
        with Database(url) as database:
            before = migrate.current_revision(database)
            migrate.upgrade(database)
            after = migrate.current_revision(database)
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise FailedError(f"cannot upgrade {shown} ({reason}); check PARETUNE_DATABASE_URL") from error
    if as_json:
        print_json({"database": shown, "before": before, "after": after})
    else:
        typer.echo(f"{shown}: at {after}" + ("" if before == after else f", from {before or 'nothing'}"))
