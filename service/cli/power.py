"""`paretune power restore`: the power of GPUs as it was before a paretune that was killed changed it."""

import typer

from service.cli.output import AsJson

app = typer.Typer(help="Look after the power of GPUs.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _commands() -> None:
    """Look after the power of GPUs."""


@app.command("restore")
def restore(as_json: AsJson = False) -> None:
    """Put back power limits and clocks that a paretune which was killed left changed; harmless when there are none.

    Reads the journal in PARETUNE_MACHINE_DIR, by default PARETUNE_DATA_DIR; what a paretune that is running controls is left alone. Needs root.
    """
    from service.cli.errors import FailedError
    from service.cli.output import print_json
    from service.settings import load_settings
    from tuner.power.journal import journal_of
    from tuner.power.restoring import Outcome, restore_left

    journal = journal_of(load_settings().machine_folder)
    found = restore_left(journal)
    if as_json:
        print_json(
            {
                "journal": str(journal.folder),
                "gpus": [{"uuid": one.uuid, "outcome": one.outcome.value, "detail": one.detail} for one in found],
            }
        )
    elif not found:
        typer.echo(f"nothing to put back: no entry in {journal.folder}")
    else:
        for one in found:
            typer.echo(f"GPU {one.uuid}: {one.outcome.value.replace('_', ' ')}: {one.detail}")
    failed = [one for one in found if one.outcome is Outcome.FAILED]
    if failed:
        raise FailedError(*(f"GPU {one.uuid} is not as it was: {one.detail}" for one in failed))
