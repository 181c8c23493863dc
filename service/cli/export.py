"""`paretune export`: a recommendation, or any trial, in a format to deploy."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from service.cli.output import AsJson
from service.cli.remote import DEFAULT_URL, JobId, Url


def export(
    job: JobId,
    format_name: Annotated[
        str, typer.Option("--format", metavar="F", help="trtllm-serve, serve-script, bench-script, json, csv.")
    ] = "trtllm-serve",
    pick: Annotated[
        str, typer.Option("--pick", metavar="P", help="cheapest, greenest, fastest, balanced, or a trial's number.")
    ] = "balanced",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="File to write; default: print it.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Export a point of a job as an engine configuration or a script."""
    from service.cli.output import print_json
    from service.client import ServiceClient

    with ServiceClient(url) as client:
        file = client.export(job, format_name, pick)
    if out is not None:
        _write(out, file.text)
    if as_json:
        shown = {"format": format_name, "pick": pick, "name": file.name}
        print_json(shown | ({"file": str(out)} if out is not None else {"text": file.text}))
    elif out is None:
        sys.stdout.write(file.text)


def _write(path: Path, text: str) -> None:
    """Writes the file whole or not at all; raises `BadUsageError` when it cannot."""
    from service.cli.errors import BadUsageError

    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=path.absolute().parent, prefix=".paretune-", delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                file.write(text)
                file.flush()
                umask = os.umask(0)
                os.umask(umask)
                temporary.chmod((0o777 if text.startswith("#!") else 0o666) & ~umask)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BadUsageError(f"cannot write {path} ({error.strerror}); name another file with --out") from None
