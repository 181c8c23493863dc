"""`paretune doctor`: checks a machine, and says what works, what is missing and how to get it."""

from typing import TYPE_CHECKING

import typer

from service.cli.output import AsJson

if TYPE_CHECKING:
    from service.doctor.check import Check
    from service.settings import Settings


def doctor(as_json: AsJson = False) -> None:
    """Check this machine: GPUs and power, engines, models, disk, database. Nothing is changed.

    Exit code 0 when paretune works here, at least in simulation; 1 when it does not.
    """
    from service.cli.errors import ExitCode
    from service.cli.output import print_json
    from service.doctor.check import works
    from service.settings import load_settings

    checks = _checks(load_settings())
    is_well = works(checks)
    if as_json:
        print_json({"works": is_well, "checks": [check.to_dict() for check in checks]})
    else:
        _show(checks)
    if not is_well:
        raise typer.Exit(ExitCode.FAILED.value)


def _checks(settings: "Settings") -> "list[Check]":
    from service.doctor import basics, engines, gpus

    return [
        basics.check_kernel_data(),
        basics.check_data_folder(settings),
        basics.check_database(settings),
        *gpus.check_gpus(),
        *engines.check_tensorrt_llm(settings),
        engines.check_llama_cpp(),
        engines.check_models(),
        basics.check_artefacts(settings),
    ]


def _show(checks: "list[Check]") -> None:
    from rich import box
    from rich.table import Table

    from service.cli.output import stdout_console

    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("", "what", "found", "how to get it"):
        table.add_column(heading, overflow="fold")
    marks = {"ok": "ok", "missing": "--", "broken": "!!"}
    for check in checks:
        table.add_row(marks[check.verdict.value], check.name, check.found, check.mend)
    stdout_console().print(table)
