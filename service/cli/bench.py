"""`paretune bench`: what the product's own figures are worth."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.output import AsJson

app = typer.Typer(help="Measure paretune itself.", no_args_is_help=True)


@app.callback()
def _bench() -> None:
    """Measure paretune itself."""


@app.command("fidelity")
def fidelity(
    table: Annotated[
        Path,
        typer.Option(
            "--table",
            metavar="FILE",
            help="CSV of measured points, in the columns of silicon_sample.csv or of ML.ENERGY's tables.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the table with predictions added.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg", help="Draw predicted against measured.")
    ] = None,
    no_correction: Annotated[
        bool, typer.Option("--no-correction", help="Predict without the correction learned from measured points.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare predictions with measured points, by the procedure they were measured with."""
    from service.cli.fidelity.progress import shown_progress
    from service.cli.fidelity.report import print_report, report_of, tell_problems
    from service.cli.fidelity.writing import check_targets, write_plot
    from service.cli.output import print_json
    from tuner.simulator.fidelity.run import predict_table
    from tuner.simulator.fidelity.table import read_table, write_table

    check_targets(out, plot)
    read = read_table(table)
    with shown_progress(len(read.rows)) as show:
        results = predict_table(read, show)
    tell_problems(results)
    report = report_of(table, read.kind, results, corrected=not no_correction)
    if out is not None:
        write_table(out, read, results, corrected=not no_correction)
    if plot is not None:
        write_plot(plot, report, results)
    if as_json:
        print_json(report.document())
    else:
        print_report(report, out, plot)
