"""What the commands that use a running service have in common."""

from typing import Annotated, Final

import typer

DEFAULT_URL: Final = "http://127.0.0.1:8321"

Url = Annotated[str, typer.Option("--url", envvar="PARETUNE_URL", help="URL of the service.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.", show_default=False)]
