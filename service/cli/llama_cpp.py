"""`paretune llama-cpp weights | server`: what the exported scripts need of the llama.cpp that paretune brings."""

from typing import Annotated

import typer

from service.cli.output import AsJson

app = typer.Typer(
    help="The model files and the server that llama.cpp is measured with.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("weights")
def weights(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A GGUF file, a folder of them, or smollm2.")],
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="Type of the weights, such as q8_0.")],
    as_json: AsJson = False,
) -> None:
    """Print the path of a model's GGUF file with weights of a type, converted now where nobody did it before.

    Converted files are kept where jobs keep theirs (PARETUNE_ARTEFACTS_DIR).
    """
    from service.cli.output import print_json
    from service.settings import load_settings
    from service.workers.engines import artefacts_of
    from tuner.configuration import Configuration
    from tuner.engines.llama_cpp.engine import LlamaCppEngine

    settings = load_settings()
    engine = LlamaCppEngine(model, settings.data_dir.expanduser(), artefacts=artefacts_of(settings))
    artefact = engine.build(Configuration("llama.cpp", "cpu", weights=kind))
    if as_json:
        seconds = artefact.build_seconds
        print_json(
            {"file": str(artefact.path), "weights": kind} | ({} if seconds is None else {"build_seconds": seconds})
        )
    else:
        typer.echo(artefact.path)


@app.command("server", context_settings={"ignore_unknown_options": True})
def server(
    flags: Annotated[list[str], typer.Argument(metavar="FLAGS", help="Flags of llama-server that paretune sets.")],
) -> None:
    """Run llama.cpp's server out of the xllamacpp wheel, just as it is started to be measured; it ends by a signal."""
    import os

    from tuner.engines.llama_cpp.engine import program_of_wheel

    program = program_of_wheel()
    os.execv(program[0], [*program, *flags])  # noqa: S606
