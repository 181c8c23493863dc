"""Every command by name; each is a module that imports what it needs when it is run."""

from typing import Annotated

import typer

from service.cli import (
    bench,
    cancel,
    db,
    doctor,
    estimate,
    export,
    frontier,
    jobs,
    llama_cpp,
    measure,
    power,
    serve,
    status,
    submit,
    tune,
    validate,
    worker,
)

app = typer.Typer(
    name="paretune",
    help="Finds the cost, power and latency frontier of LLM inference engines.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("tune")(tune.tune)
app.command("validate")(validate.validate)
app.command("estimate")(estimate.estimate)
app.command("measure")(measure.measure)
app.add_typer(bench.app, name="bench")
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.add_typer(db.app, name="db")
app.add_typer(power.app, name="power")
app.add_typer(llama_cpp.app, name="llama-cpp")
app.command("doctor")(doctor.doctor)
app.command("submit")(submit.submit)
app.command("status")(status.status)
app.command("frontier")(frontier.frontier)
app.command("export")(export.export)
app.command("cancel")(cancel.cancel)
app.command("jobs")(jobs.jobs)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("paretune"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and stop.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Finds the cost, power and latency frontier of LLM inference engines."""
