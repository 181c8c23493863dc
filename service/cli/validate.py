"""`paretune validate`: checks a job spec, or an engine's configuration file, before anything is run."""

from pathlib import Path
from typing import Annotated, Final

import typer

from service.cli.output import AsJson

_ENGINES: Final = ("tensorrt-llm",)


def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to check.", show_default=False)],
    engine: Annotated[
        str | None, typer.Option(metavar="ENGINE", help="FILE is this engine's configuration: tensorrt-llm.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a job spec and count its configurations, or check an engine's configuration file.

    Exit code 2, and one line for each problem, when something is wrong.
    """
    from service.cli.errors import ExitCode
    from service.cli.output import print_json
    from tuner.errors import SpecError

    try:
        facts = _job_spec(file) if engine is None else _engine_file(file, engine)
    except SpecError as error:
        if not as_json:
            raise
        problems = [{"field": problem.field, "message": problem.message} for problem in error.problems]
        print_json({"valid": False, "problems": problems})
        raise typer.Exit(ExitCode.BAD_USAGE.value) from None
    if as_json:
        print_json({"valid": True, **facts})
    elif "space_size" in facts:
        typer.echo(f"{file}: valid; {facts['space_size']:,} configurations to evaluate")
    else:
        typer.echo(f"{file}: valid for {engine}")


def _job_spec(file: Path) -> dict[str, int]:
    from tuner.space.choice import choices_of
    from tuner.spec_file import load_spec

    return {"space_size": len(choices_of(load_spec(file)))}


def _engine_file(file: Path, engine: str) -> dict[str, int]:
    from service.cli.errors import BadUsageError
    from tuner.engines.tensorrt_llm import check_arguments
    from tuner.errors import SpecError
    from tuner.spec_file import load_yaml
    from tuner.spec_problems import near

    if engine not in _ENGINES:
        raise BadUsageError(f"files of engine {engine!r} cannot be checked; {near(engine, _ENGINES)}")
    problems = check_arguments(load_yaml(file))
    if problems:
        raise SpecError(problems)
    return {}
