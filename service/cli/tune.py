"""`paretune tune`: the whole path, from a spec to the files to deploy, on an embedded service."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.output import AsJson

if TYPE_CHECKING:
    from tuner.spec import JobSpec


def tune(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="Job spec, YAML or JSON.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for the results.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Measure anew what a run of the same spec that was cut short had measured.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a tuning job from start to end on this machine, and write what to deploy.

    A job that starts engines goes on where a run of the same spec was cut short. Exit code 3 when no configuration meets
    the constraints.
    """
    from service.cli.errors import NoFeasibleError
    from service.cli.folder import check_writable
    from tuner.spec_file import load_spec

    if out is not None:
        check_writable(out)
    loaded = load_spec(spec)
    if loaded.starts_engines:
        from service.cli.tune_measuring import tune_measuring

        reason = tune_measuring(loaded, out, fresh=fresh, as_json=as_json)
    else:
        reason = _tune(loaded, out, as_json=as_json)
    if reason is not None:
        raise NoFeasibleError(reason)


def _tune(spec: "JobSpec", out: Path | None, *, as_json: bool) -> str | None:
    """Runs a job that starts no engine; gives the reason when no configuration is feasible."""
    from service.cli.embedded import EmbeddedService
    from service.client import ServiceClient

    with EmbeddedService() as service, ServiceClient(service.url) as client:
        service.start_worker()
        from service.cli.tuning import finished, shown, watched  # while its processes start
        from service.cli.waiting import succeeded

        with watched(service):
            job = client.submit(spec.model_dump(mode="json"))
        return shown(client, succeeded(finished(service, client, job)), out, as_json=as_json)
